// Sidecars: what they undo, and what is refused.
#include <doctest/doctest.h>

#include "support.hpp"

namespace {

std::string version_here() {
    const int number = getInferLibVersion(), unit = number >= 10000 ? 10000 : 1000;
    return std::to_string(number / unit) + "." + std::to_string(number % unit / 100) + "." +
           std::to_string(number % 100);
}

// A sidecar as Python would write it, for an engine of this content; a key may be replaced, or removed by null's text
// "".
std::string sidecar(const std::string& engine, const std::string& key = "", const std::string& value = "") {
    const bool rtx = getInferLibVersion() / 10000 == 1;
    onepass::Json data = onepass::parsed_json(R"({"onepass_engine": 1, "onepass_engine_minor": 2,
        "inputs": [{"name": "ids", "dtype": "int64", "shape": ["N"], "tensor": "ids", "carrier": "int32"}],
        "outputs": [{"name": "a", "dtype": "float32", "shape": ["N"], "tensor": "a", "carrier": "float32"},
                    {"name": "gr\u00f6\u00dfe", "dtype": "int64", "shape": ["N"], "tensor": "b__out", "carrier": "int32"}],
        "profiles": [{"shapes": {"ids": [[1], [2], [8]]}, "values": {}}], "options": {}, "control_flow": false,
        "build_seconds": 0.25})");
    data.object["version"] = onepass::parsed_json("\"" + version_here() + ".9\"");
    data.object["flavor"] = onepass::parsed_json(rtx ? "\"tensorrt_rtx\"" : "\"tensorrt\"");
    data.object["engine_sha256"] = onepass::parsed_json("\"" + onepass::sha256(engine) + "\"");
    if (!key.empty() && value.empty()) data.object.erase(key);
    if (!value.empty()) data.object[key] = onepass::parsed_json(value);
    data.object["sidecar_sha256"] = onepass::parsed_json("\"" + onepass::sha256(onepass::compact_json(data)) + "\"");
    return onepass::compact_json(data);
}

const char* const kBody =
    "shared 1\ninput ids 3 device -1 1:2:8\noutput b__out 3 device -1 scale ids 1\noutput a 0 device -1 scale ids 0.5";

std::string refused(const std::string& key, const std::string& value) {
    File file(kBody);
    std::ofstream(file.path + ".json") << sidecar(file.content, key, value);
    return message([&] { opened(file.path); });
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a sidecar undoes names, order and dtypes") {
    File file(kBody);
    std::ofstream(file.path + ".json") << sidecar(file.content);
    auto session = opened(file.path);
    CHECK(to_string(session.inputs()[0]) == "int64 [N]");
    const std::vector<std::int64_t> ids{7, -9};
    for (int call = 0; call < 3; ++call) {
        auto out = session.run({{"ids", {ids.data(), 2}}});
        CHECK(out.at(0).name() == "a");
        CHECK(out["größe"].as<std::int64_t>()[1] == -9);
        CHECK(out["a"].as<float>()[0] == 3.5F);
    }
    const std::vector<std::int64_t> huge{std::int64_t{1} << 40};
    CHECK(has(message([&] { session.run({{"ids", {huge.data(), 1}}}); }), "cannot hold all of the given numbers"));
    CHECK(session.run({{"ids", {ids.data(), 1}}})["a"].as<float>()[0] == 3.5F);
}

TEST_CASE("inputs and outputs of 16 bits that the engine holds as float32 come as the model says") {
    File file("shared 1\ninput x 0 device -1 1:2:8\noutput h 0 device -1 scale x 3\noutput b 0 device -1 scale x 0.5");
    const auto edge = [](const std::string& name, const std::string& dtype) {
        return R"({"name": ")" + name + R"(", "dtype": ")" + dtype + R"(", "shape": ["N"], "tensor": ")" + name +
               R"(", "carrier": "float32"})";
    };
    onepass::Json data = onepass::parsed_json(sidecar(file.content));
    data.object.erase("sidecar_sha256");
    data.object["inputs"] = onepass::parsed_json("[" + edge("x", "float16") + "]");
    data.object["outputs"] = onepass::parsed_json("[" + edge("h", "float16") + "," + edge("b", "bfloat16") + "]");
    data.object["profiles"] = onepass::parsed_json(R"([{"shapes": {"x": [[1], [2], [8]]}, "values": {}}])");
    data.object["sidecar_sha256"] = onepass::parsed_json("\"" + onepass::sha256(onepass::compact_json(data)) + "\"");
    std::ofstream(file.path + ".json") << onepass::compact_json(data);
    auto session = opened(file.path);
    const std::vector<onepass::float16> x{{0x3C00}, {0xC200}};  // 1, -3
    for (int call = 0; call < 3; ++call) {
        const auto out = session.run({{"x", {x.data(), 2}}});
        CHECK(out["h"].as<onepass::float16>()[0].bits == 0x4200);
        CHECK(static_cast<float>(out["h"].as<onepass::float16>()[1]) == -9.0F);
        CHECK(static_cast<float>(out["b"].as<onepass::bfloat16>()[1]) == -1.5F);
    }
    auto lent = session.empty_inputs({{"x", {2}}});  // not as the engine holds it, so in ordinary memory
    lent.data<onepass::float16>("x")[0] = lent.data<onepass::float16>("x")[1] = {0x4000};
    CHECK(static_cast<float>(session.run(lent)["h"].as<onepass::float16>()[1]) == 6.0F);
    onepass::Call call;
    call.stream = nullptr;
    CHECK(has(message([&] { session.run({{"x", {x.data(), 2}}}, call); }),
              "output 'h': the engine returns it as float32, so it cannot stay on the GPU"));
}

TEST_CASE("a sidecar that is damaged, or of another engine, is refused as in Python") {
    File file(kBody);
    const std::string whole = sidecar(file.content);
    const auto with = [&](const std::string& text) {
        std::ofstream(file.path + ".json", std::ios::trunc) << text;
        return message([&] { opened(file.path); });
    };
    CHECK(has(with(whole.substr(0, 100)), "is not valid JSON"));
    CHECK(has(with("[]"), "is not a valid engine sidecar: it is [], expected an object"));
    std::string changed = whole;
    changed.replace(changed.find("0.25"), 4, "0.26");
    CHECK(has(with(changed), "is damaged, or was changed by hand"));
    CHECK(has(refused("onepass_engine", "2"), "has format version 2"));
    CHECK(has(refused("outputs", ""), "outputs is missing"));
    CHECK(has(refused("control_flow", "3"), "control_flow is 3, expected true or false"));
    CHECK(has(refused("engine_sha256", "\"" + std::string(64, 'a') + "\""),
              "is not the engine that its sidecar describes"));
    CHECK(has(refused("version", "\"7.0.0\""), "engines run only in the version that built them"));
    CHECK(has(refused("compute_capability", "\"8.0\""), "was built for compute capability 8.0"));
    CHECK(has(refused("profiles", R"([{"shapes": {"ids": [[1], [2], [9]]}, "values": {}}])"),
              "was built for other shapes"));
    CHECK(has(refused("profiles", R"([{"shapes": {"ids": [[3], [2], [9]]}, "values": {}}])"), "min <= opt <= max"));
    CHECK(has(
        refused("inputs", R"([{"name": "i", "dtype": "int32", "shape": ["N"], "tensor": "i", "carrier": "int32"}])"),
        "has the inputs ids, but its sidecar lists i"));
    CHECK(refused("unknown_key", "{\"since\": [1, null, \"1.9\"]}") == "(nothing thrown)");
    CHECK(refused("compute_capability", "\"9.0\"") == "(nothing thrown)");
}

TEST_CASE("of two files that may be the sidecar, the engine's digest decides") {
    File file(kBody);
    std::ofstream(file.path + ".json") << sidecar("another engine");
    CHECK_THROWS_AS(opened(file.path), onepass::EngineMismatchError);
    std::ofstream(file.path + ".json.new") << sidecar(file.content);
    CHECK(opened(file.path).outputs()[0].name == "a");
}
