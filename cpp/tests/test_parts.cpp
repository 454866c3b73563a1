// The parts that need no model.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <onepass/onepass.hpp>

#include "cast.hpp"
#include "json.hpp"
#include "names.hpp"
#include "part.hpp"
#include "profiles.hpp"
#include "sha256.hpp"

using namespace onepass;

TEST_CASE("SHA-256 gives the digests of FIPS 180-4's examples") {
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(sha256(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("JSON is written as Python's json.dumps does with sorted keys and no spaces") {
    const std::pair<const char*, const char*> cases[] = {
        {"{\"b\": 1, \"a\": \"\u00e9\"}", "{\"a\":\"\\u00e9\",\"b\":1}"},
        {"\"\\ud83d\\ude00 \\/ \\u007f \\n\"", "\"\\ud83d\\ude00 / \\u007f \\n\""},
        {"\"\\ud83d\"", "\"\\ud83d\""},
        {"[1.0, 1e16, 123456789012345680.0, 1e-5, 0.0001, -0.0, -0, 1E2, 3.25, 5e-324]",
         "[1.0,1e+16,1.2345678901234568e+17,1e-05,0.0001,-0.0,0,100.0,3.25,5e-324]"},
        {"[true, false, null, {}, []]", "[true,false,null,{},[]]"}};
    for (const auto& [given, expected] : cases) CHECK(compact_json(parsed_json(given)) == expected);
}

TEST_CASE("what is no JSON is refused") {
    for (const char* bad : {"", "{", "[1,]", "{\"a\" 1}", "01", "1.", "+1", "NaN", "tru", "\"\\x\"", "\"\\u12\"",
                            "\"\n\"", "1 2", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "{1: 2}"})
        CHECK_THROWS_AS(parsed_json(bad), JsonError);
    CHECK_THROWS_AS(parsed_json(std::string(100000, '[')), JsonError);
}

TEST_CASE("every golden sidecar is read, and the digest that Python wrote is the digest here") {
    for (const char* version : {"1.0", "1.1", "1.2"}) {
        std::ifstream file(std::string(GOLDEN) + "/v" + version + ".json", std::ios::binary);
        Json data = parsed_json(std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()));
        const Json* recorded = data.find("sidecar_sha256");
        if (!recorded) continue;
        const std::string digest = recorded->text;
        data.object.erase("sidecar_sha256");
        CHECK(sha256(compact_json(data)) == digest);
    }
}

TEST_CASE("casts say where a number does not fit") {
    const std::int64_t whole[] = {1, -2, 255, 256, std::int64_t{1} << 40};
    const std::pair<Dtype, bool> rows[] = {
        {Dtype::int32, false}, {Dtype::float32, true}, {Dtype::uint8, false}, {Dtype::boolean, true}};
    for (const auto& [to, fits] : rows) {
        char target[64] = {};
        CHECK(cast(to, target, Dtype::int64, whole, 5) == fits);
    }
    const float real[] = {1.9F, -1.9F, 2147483520.0F};
    std::int32_t out[3];
    CHECK(cast(Dtype::int32, out, Dtype::float32, real, 3));
    CHECK(out[0] == 1);
    CHECK(out[1] == -1);
    const float beyond[] = {2147483648.0F}, nan[] = {std::nanf("")};
    CHECK(!cast(Dtype::int32, out, Dtype::float32, beyond, 1));
    CHECK(!cast(Dtype::int32, out, Dtype::float32, nan, 1));
    CHECK_THROWS_AS(cast(Dtype::float8_e5m2, out, Dtype::float32, real, 1), UnsupportedModelError);
}

TEST_CASE("every number of 16 bits comes back from float32 and float64, and what lies between goes to the nearest") {
    for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16}) {
        int wrong = 0;
        for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
            const auto given = static_cast<std::uint16_t>(bits);
            float wide = 0;
            double wider = 0;
            std::uint16_t back[2] = {};
            cast(Dtype::float32, &wide, dtype, &given, 1);
            cast(Dtype::float64, &wider, dtype, &given, 1);
            cast(dtype, &back[0], Dtype::float32, &wide, 1);
            cast(dtype, &back[1], Dtype::float64, &wider, 1);
            if (!std::isnan(wide) && (back[0] != given || back[1] != given)) ++wrong;
        }
        CHECK(wrong == 0);
    }
    // Halves as NumPy rounds them: ties to even, into subnormals, beyond the largest.
    const std::pair<double, std::uint16_t> rows[] = {{1 + 0x1p-11, 0x3C00},
                                                     {1 + 3 * 0x1p-11, 0x3C02},
                                                     {1 + 0x1p-11 + 1e-9, 0x3C01},
                                                     {2 - 0x1p-11, 0x4000},
                                                     {0x1p-25, 0x0000},
                                                     {0x1.8p-24, 0x0002},
                                                     {0x1.ffcp-15, 0x0400},
                                                     {65519, 0x7BFF},
                                                     {65520, 0x7C00},
                                                     {1e300, 0x7C00},
                                                     {-0.0, 0x8000},
                                                     {-1e-300, 0x8000},
                                                     {-std::numeric_limits<double>::infinity(), 0xFC00}};
    for (const auto& [value, expected] : rows) {
        std::uint16_t bits = 1;
        CHECK(cast(Dtype::float16, &bits, Dtype::float64, &value, 1));
        CHECK_MESSAGE(bits == expected, value);
    }
    const float pi = 3.14159274F, most = std::numeric_limits<float>::max();
    std::uint16_t bits = 0;
    cast(Dtype::bfloat16, &bits, Dtype::float32, &pi, 1);
    CHECK(bits == 0x4049);
    cast(Dtype::bfloat16, &bits, Dtype::float32, &most, 1);
    CHECK(bits == 0x7F80);
    const std::uint16_t many[] = {0xFBFF, 0x7E00};  // -65504, and no number
    std::int32_t whole = 0;
    CHECK(cast(Dtype::int32, &whole, Dtype::float16, many, 1));
    CHECK(whole == -65504);
    CHECK(!cast(Dtype::int32, &whole, Dtype::float16, many + 1, 1));
}

TEST_CASE("halves become floats") {
    CHECK(static_cast<float>(float16{0x3C00}) == 1.0F);
    CHECK(static_cast<float>(float16{0x0001}) == std::ldexp(1.0F, -24));
    CHECK(static_cast<float>(float16{0xFBFF}) == -65504.0F);
    CHECK(std::isinf(static_cast<float>(float16{0x7C00})));
    CHECK(std::isnan(static_cast<float>(float16{0x7E00})));
    CHECK(static_cast<float>(bfloat16{0x3FC0}) == 1.5F);
}

TEST_CASE("shapes count, and refuse what cannot be counted") {
    CHECK(Shape{}.count() == 1);
    CHECK(Shape{3, 0, 5}.count() == 0);
    CHECK(Shape{2, 3, 4}.strides() == std::vector<std::int64_t>{12, 4, 1});
    CHECK(to_string(Shape{2, -1}) == "[2, ?]");
    CHECK_THROWS_AS(Shape({2, -1}).count(), Error);
    CHECK_THROWS_AS(Shape({std::int64_t{1} << 40, std::int64_t{1} << 40}).count(), Error);
}

TEST_CASE("an array is indexed within its bounds") {
    const auto owner = std::make_shared<std::vector<float>>(std::vector<float>{0, 1, 2, 3, 4, 5});
    const Array<float> array(owner, owner->data(), Shape{2, 3});
    CHECK(array(1, 2) == 5.0F);
    for (const auto& [a, b] : {std::pair{2, 0}, {0, 3}, {-1, 0}}) CHECK_THROWS_AS(array(a, b), std::out_of_range);
    CHECK_THROWS_AS(array(1), std::out_of_range);
    CHECK(std::vector<float>(array.begin(), array.end()) == *owner);
}

TEST_CASE("a name that is nearly right is guessed, as in Python") {
    CHECK(no_such_name("output", "landmark", {"heatmaps", "landmarks", "radius"}) ==
          "the model has no output 'landmark'. Did you mean 'landmarks'? Its outputs are: heatmaps, landmarks, radius");
    CHECK(no_such_name("input", "x", {}) == "the model has no input 'x'. Its inputs are: none");
}

TEST_CASE("of several profiles the one whose best is nearest is taken") {
    const Range small{Shape{1}, Shape{1}, Shape{8}}, large{Shape{2}, Shape{8}, Shape{64}};
    const std::vector<Profile> profiles = {{{{"x", small}}, {}}, {{{"x", large}}, {}}};
    const auto chosen = [&](std::int64_t size) { return choose_profile(profiles, {{{"x", Shape{size}}}, {}}); };
    CHECK(chosen(1) == 0);
    CHECK(chosen(2) == 0);
    CHECK(chosen(7) == 1);
    CHECK(chosen(64) == 1);
    CHECK(chosen(65) == -1);
    CHECK(choose_profile({profiles[0], profiles[0]}, {{{"x", Shape{1}}}, {}}) == 0);  // of equals the first
    CHECK(outside_profiles("m", profiles, {{{"x", Shape{65}}}, {}}) ==
          "m: got x [65], but the engine was built for x [1…8] or x [2…64]. Use smaller batches, or build the engine "
          "with a larger range");
}

namespace {

std::string field(int number, const std::string& content) {  // in protobuf's encoding; short ones
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(content.size())} + content;
}
std::string node(const std::string& from, const std::string& to, const std::string& inner = "") {
    return field(1, field(1, from) + field(2, to) + (inner.empty() ? "" : field(5, field(6, inner))));
}
std::string output(const std::string& name) { return field(12, field(1, name)); }

}  // namespace

TEST_CASE("of an ONNX model only what some outputs need is left") {
    const std::string mark = {8, 8};  // the version of the format, a field before the graph
    const std::string x_to_a = node("x", "a"), a_to_b = node("a", "b"), x_to_c = node("x", "c"),
                      with_branch = node("x", "d", node("c", "e") + output("e"));
    const auto model = [&](const std::string& graph) { return mark + field(7, graph) + field(8, "opset"); };
    const std::string all = x_to_a + a_to_b + x_to_c + with_branch;
    const std::string whole = model(all + output("b") + output("c") + output("d"));
    CHECK(part_of(whole, {"b"}) == model(x_to_a + a_to_b + output("b")));
    CHECK(part_of(whole, {"d"}) == model(x_to_c + with_branch + output("d")));  // its branch takes c from around it
    CHECK(part_of(whole, {"c", "d"}) == model(x_to_c + with_branch + output("c") + output("d")));
    CHECK(part_of(whole, {"b", "d"}) == std::nullopt);  // they need all of it
    CHECK(part_of(field(7, all) + field(7, all), {"b"}) == std::nullopt);
    CHECK(part_of("no model", {"b"}) == std::nullopt);
    for (std::size_t size = 0; size + field(8, "opset").size() < whole.size(); ++size)
        CHECK(part_of(std::string_view(whole).substr(0, size), {"b"}) == std::nullopt);
    const std::string circle = model(node("b", "a") + node("a", "b") + node("x", "c") + output("b"));
    CHECK(part_of(circle, {"b"}) == model(node("b", "a") + node("a", "b") + output("b")));
}
