// Engines on the stand-in: what a user of the library sees, and that nothing leaks.
#include <doctest/doctest.h>

#include <numeric>
#include <thread>

#include "support.hpp"

TEST_CASE("all outputs by name from one pass, eager first and recorded from the second call on") {
    {
        File file(kTwo);
        auto session = opened(file.path);
        const auto eyes = ramp(6);
        for (int call = 0; call < 5; ++call) {
            const int launches = state().count("cudaGraphLaunch"), waits = state().count("cudaStreamSynchronize"),
                      copies = state().count("cudaMemcpyAsync");
            auto out = session.run({{"eye", {eyes.data(), 2, 3}}});
            CHECK(out.size() == 2);
            CHECK(out.at(0).name() == "c_thrice");
            auto twice = out["a_twice"].as<float>();
            CHECK(twice(1, 2) == 12.0F);
            CHECK(out["c_thrice"].as<float>()(1, 2) == 18.0F);
            CHECK(twice.shape() == onepass::Shape{2, 3});
            CHECK(state().count("cudaStreamSynchronize") == waits + 1);
            if (call >= 2) {
                CHECK(state().count("cudaGraphLaunch") == launches + 1);
                CHECK(state().count("cudaMemcpyAsync") == copies);
            }
        }
        CHECK(session.report().find("recorded") != std::string::npos);
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("results stay valid: beyond the slots, beyond the next calls, beyond the session") {
    std::vector<onepass::Array<float>> kept;
    {
        File file(kTwo);
        auto session = opened(file.path);
        for (int i = 0; i < 12; ++i) {
            const auto eyes = ramp(3, static_cast<float>(i));
            kept.push_back(session.run({{"eye", {eyes.data(), 1, 3}}})["a_twice"].as<float>());
        }
    }
    for (int i = 0; i < 12; ++i) CHECK(kept[static_cast<std::size_t>(i)][2] == 2.0F * (static_cast<float>(i) + 2.0F));
    CHECK(state().host_blocks == 4);  // the blocks of the slots; the rest was copied
    kept.clear();
    CHECK(state().leaks() == 0);
}

TEST_CASE("many shapes: eight are kept, and all are right") {
    File file(kTwo);
    auto session = opened(file.path);
    for (int round = 0; round < 3; ++round)
        for (std::size_t n = 1; n <= 8; ++n) {
            const auto eyes = ramp(3 * n);
            CHECK(session.run({{"eye", {eyes.data(), n, 3}}})["a_twice"].as<float>()(n - 1, 2) ==
                  6.0F * static_cast<float>(n));
        }
}

TEST_CASE("inputs that do not fit") {
    File file(kTwo);
    auto session = opened(file.path);
    const auto eyes = ramp(60);
    const std::vector<double> doubles(6);
    using onepass::InputError;
    CHECK_THROWS_AS(session.run({}), InputError);
    CHECK(message([&] { session.run({}); }) ==
          "missing input 'eye' (float32 [?, 3]); got none. Every call needs all inputs");
    CHECK(message([&] { session.run({{"eyes", {eyes.data(), 2, 3}}}); }) ==
          "the model has no input 'eyes'. Did you mean 'eye'? Its inputs are: eye");
    CHECK(message([&] { session.run({{"eye", {doubles.data(), 2, 3}}}); }) ==
          "input 'eye': expected float32 [?, 3], got float64 [2, 3]. onepass never converts dtypes silently");
    CHECK(message([&] { session.run({{"eye", {eyes.data(), 3}}}); }) ==
          "input 'eye': expected float32 [?, 3], got float32 [3]. One dimension is missing; for a batch of one, add a "
          "leading dimension of size 1");
    CHECK(message([&] { session.run({{"eye", {eyes.data(), 2, 4}}}); }).find("Dimension 1 must be 3, got 4") !=
          std::string::npos);
    CHECK(message([&] { session.run({{"eye", {eyes.data(), 0, 3}}}); }).find("built for eye [1…8, 3]") !=
          std::string::npos);
    CHECK(message([&] {
              session.run({{"eye", {eyes.data(), 9, 3}}});
          }).find("eye [9, 3], but the engine was built for eye [1…8, 3]") != std::string::npos);
    auto out = session.run({{"eye", {eyes.data(), 2, 3}}});
    CHECK(message([&] { out["mask"]; }) == "the model has no output 'mask'. Its outputs are: c_thrice, a_twice");
    CHECK(message([&] { out["a_twice"].as<int>(); }) ==
          "output 'a_twice' is float32 [2, 3], not int32; onepass never converts dtypes silently");
}

TEST_CASE("sizes that depend on the data") {
    {
        File file(
            "shared 1\ninput x 0 device -1 1:4:8\noutput where 3 device -1 nonzero x\noutput twice 0 device -1 scale x "
            "2");
        auto session = opened(file.path);
        const std::vector<float> x{0, 1, 0, 2, 3, 0};
        for (std::size_t n : {6, 2, 1, 6}) {
            auto out = session.run({{"x", {x.data(), n}}});
            const auto where = out["where"].as<std::int32_t>();
            CHECK(where.size() == (n == 6 ? 3 : n - 1));
            if (n == 6) CHECK(where[2] == 4);
            CHECK(out["twice"].as<float>()[n - 1] == 2 * x[n - 1]);
        }
        CHECK(session.report().find("depends on the data") != std::string::npos);
        state().fail_in["notifyShape"] = 1;  // a shape told before is not taken for this call's
        CHECK(message([&] { session.run({{"x", {x.data(), 6}}}); }).find("without its complete shape") !=
              std::string::npos);
        state().fail_in["cudaMalloc"] = 4;  // in a new pass: inputs, outputs … and the allocator's own
        const std::vector<float> five{1, 1, 1, 1, 1};
        for (int i = 0; i < 2; ++i) try {
                session.run({{"x", {five.data(), 5}}});
            } catch (const onepass::BackendError&) {}
        state().fail_in.clear();
        CHECK(session.run({{"x", {five.data(), 5}}})["where"].as<std::int32_t>().size() == 5);
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("several profiles; the one whose best is nearest") {
    for (int shared : {0, 1}) {
        File file("shared " + std::to_string(shared) +
                  "\ninput x 0 device -1 1:1:4 2:8:16\noutput y 0 device -1 scale x 2");
        auto session = opened(file.path);
        const auto x = ramp(16);
        for (int round = 0; round < 3; ++round)
            for (std::size_t n : {1, 3, 16, 2, 8})
                CHECK(session.run({{"x", {x.data(), n}}})["y"].as<float>()[n - 1] == 2 * x[n - 1]);
        CHECK(session.report().find("profile 1") != std::string::npos);
    }
}

TEST_CASE("threads") {
    for (int shared : {0, 1}) {
        File file("shared " + std::to_string(shared) +
                  "\ninput eye 0 device -1x3 1x3:2x3:8x3\noutput a 0 device -1x3 scale eye 2");
        {
            auto session = opened(file.path);
            std::atomic<int> wrong{0};
            std::vector<std::thread> threads;
            for (int t = 0; t < 8; ++t)
                threads.emplace_back([&, t] {
                    std::vector<onepass::Outputs> kept;
                    for (int i = 0; i < 60; ++i) {
                        const std::size_t n = 1 + static_cast<std::size_t>((t + i) % 3);
                        const auto eyes = ramp(3 * n, static_cast<float>(t * 100 + i));
                        kept.push_back(session.run({{"eye", {eyes.data(), n, 3}}}));
                        if (kept.back()["a"].as<float>()[3 * n - 1] != 2 * eyes.back()) ++wrong;
                        if (i % 7 == 6) kept.clear();
                    }
                });
            for (auto& each : threads) each.join();
            CHECK(wrong == 0);
            CHECK(session.report().find(shared ? " of 4" : "contexts 1 of 1") != std::string::npos);
        }
        CHECK(state().leaks() == 0);
    }
}

TEST_CASE("what goes wrong has an error of its own, and leaks nothing") {
    CHECK_THROWS_AS(opened("/nowhere.engine"), onepass::ModelNotFoundError);
    {
        File old(kTwo, "", 70000);
        CHECK_THROWS_AS(opened(old.path), onepass::EngineVersionError);
    }
    {
        File cut(kTwo);
        std::ofstream(cut.path) << "ptrt\nstandin " << getInferLibVersion() << "\ninput";
        CHECK(message([&] { opened(cut.path); }).find("cut short") != std::string::npos);
    }
    {
        File file(kTwo);
        state().gpus = 0;
        CHECK(message([&] { opened(file.path); }) == "CUDA finds no GPU: no CUDA-capable device is detected");
        state().gpus = 1;
    }
    {
        File file(kTwo);
        onepass::Options options;
        options.device = 3;
        CHECK_THROWS_AS(opened(file.path, options), onepass::DeviceError);
    }
    File file(kTwo);
    const auto eyes = ramp(6);
    // Let each call of CUDA and TensorRT fail once, at each place where there is one: never a leak, never a crash.
    int failures = 0;
    for (const char* call : {"cudaMalloc", "cudaHostAlloc", "cudaMemcpyAsync", "cudaStreamCreateWithFlags",
                             "cudaStreamSynchronize", "cudaStreamBeginCapture", "cudaStreamEndCapture",
                             "cudaGraphInstantiateWithFlags", "cudaGraphLaunch", "enqueueV3", "context", "runtime"})
        for (int nth = 1; nth <= 4; ++nth) {
            state().fail_in = {{call, nth}};
            try {
                auto session = opened(file.path);
                for (int i = 0; i < 4; ++i) try {
                        const float last = session.run({{"eye", {eyes.data(), 2, 3}}})["a_twice"].as<float>()[5];
                        CHECK(last == 12.0F);
                    } catch (const onepass::BackendError&) { ++failures; }
                state().fail_in.clear();
                CHECK(session.run({{"eye", {eyes.data(), 2, 3}}})["a_twice"].as<float>()[5] == 12.0F);
            } catch (const onepass::Error&) { ++failures; }
            state().fail_in.clear();
            CHECK_MESSAGE(state().leaks() == 0, call);
        }
    CHECK(failures > 15);
}

TEST_CASE("some outputs are returned in the model's order, each once") {
    File file(kTwo);
    auto session = opened(file.path);
    const auto eyes = ramp(3);
    const auto out = session.run({{"eye", {eyes.data(), 1, 3}}}, {"a_twice", "c_thrice", "a_twice"});
    CHECK(out.size() == 2);
    CHECK(out.at(0).name() == "c_thrice");
    CHECK(session.run({{"eye", {eyes.data(), 1, 3}}}, {"a_twice"}).at(0).as<float>()[2] == 6.0F);
    CHECK_THROWS_AS(session.run({{"eye", {eyes.data(), 1, 3}}}, {"b"}), onepass::OutputNameError);
}

TEST_CASE("tensors that do not lie in rows are refused") {
    File file("shared 1\ninput x 0 device -1 1:2:8\noutput odd 0 device -1 scale x 1");
    CHECK_THROWS_AS(opened(file.path), onepass::UnsupportedModelError);
}

TEST_CASE("TensorRT's log reaches the caller's function") {
    File cut(kTwo);
    std::ofstream(cut.path) << "ptrt\nstandin " << getInferLibVersion() << "\ninput";
    std::string heard;
    onepass::Options options;
    options.log = [&](onepass::Severity severity, const char* text) {
        if (severity == onepass::Severity::error) heard += text;
    };
    CHECK_THROWS_AS(opened(cut.path, options), onepass::ModelFormatError);
    CHECK(heard.find("cut short") != std::string::npos);
}

TEST_CASE("an engine with branches or loops is queued, never recorded: a recording would repeat one course") {
    File file(std::string(kTwo) + "\nlayers [Loop_0] recurrence");
    auto session = opened(file.path);
    const auto eyes = ramp(3);
    const int launches = state().count("cudaGraphLaunch");
    for (int call = 0; call < 4; ++call) session.run({{"eye", {eyes.data(), 1, 3}}});
    CHECK(state().count("cudaGraphLaunch") == launches);
    CHECK(session.report().find("it has branches or loops") != std::string::npos);
}

TEST_CASE("where a profile has one context, a pass that gets it back is set up and recorded anew") {
    File file("shared 0\ninput eye 0 device -1x3 1x3:2x3:8x3\noutput a 0 device -1x3 scale eye 2");
    auto session = opened(file.path);
    const auto eyes = ramp(6);
    for (int call = 0; call < 3; ++call) session.run({{"eye", {eyes.data(), 1, 3}}});
    session.run({{"eye", {eyes.data(), 2, 3}}});
    const int launches = state().count("cudaGraphLaunch");
    CHECK(launches > 0);
    CHECK(session.run({{"eye", {eyes.data(), 1, 3}}})["a"].as<float>()[2] == 6.0F);
    CHECK(state().count("cudaGraphLaunch") == launches);
    session.run({{"eye", {eyes.data(), 1, 3}}});
    CHECK(state().count("cudaGraphLaunch") == launches + 1);
}
