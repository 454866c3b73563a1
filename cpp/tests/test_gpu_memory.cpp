// Memory on the GPU, in and out; the caller's streams; arrays that the caller brings, or is lent.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <thread>

#include "support.hpp"

namespace {

using onepass::Call;
using onepass::Input;
using onepass::InputError;
using onepass::Target;

// A stream of the caller's, and memory on the GPU; `at_once` copies whether or not anybody waits.
struct Caller {
    cudaStream_t stream = nullptr;
    std::vector<void*> blocks;
    Caller() { REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess); }
    ~Caller() {
        cudaStreamSynchronize(stream);
        for (void* each : blocks) cudaFree(each);
        cudaStreamDestroy(stream);
    }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

    float* block(std::size_t count) {
        void* fresh = nullptr;
        REQUIRE(cudaMalloc(&fresh, count * sizeof(float)) == cudaSuccess);
        blocks.push_back(fresh);
        return static_cast<float*>(fresh);
    }
    void queue_in(float* to, const std::vector<float>& from) {
        REQUIRE(cudaMemcpyAsync(to, from.data(), from.size() * sizeof(float), cudaMemcpyHostToDevice, stream) ==
                cudaSuccess);
    }
    float* on_gpu(const std::vector<float>& values) {
        float* fresh = block(values.size());
        queue_in(fresh, values);
        cudaStreamSynchronize(stream);
        return fresh;
    }
    template <class T = float>
    std::vector<T> back(const void* from, std::size_t count) {
        std::vector<T> values(count);
        REQUIRE(cudaMemcpyAsync(values.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost, stream) == cudaSuccess);
        cudaStreamSynchronize(stream);
        return values;
    }
};

std::vector<float> times(const std::vector<float>& values, float factor) {
    std::vector<float> product;
    for (const float each : values) product.push_back(factor * each);
    return product;
}

}  // namespace

TEST_CASE("what comes from the GPU stays there, complete when the call returns") {
    {
        File file(kTwo);
        auto session = opened(file.path);
        Caller caller;
        const auto eyes = ramp(6);
        const float* there = caller.on_gpu(eyes);
        for (int call = 0; call < 4; ++call) {
            const int launches = state().count("cudaGraphLaunch");
            const auto out = session.run({{"eye", Input::gpu(there, {2, 3})}});
            CHECK(out.at(0).name() == "c_thrice");
            CHECK(out["a_twice"].on_gpu());
            CHECK(out["a_twice"].device() == 0);
            CHECK(caller.back(out["a_twice"].data_as<float>(), 6) == times(eyes, 2));
            CHECK(caller.back(out["c_thrice"].data(), 6) == times(eyes, 3));
            if (call > 0) CHECK(state().count("cudaGraphLaunch") == launches + 1);
            CHECK_THROWS_AS(out["a_twice"].as<float>(), InputError);  // the host cannot read it
            CHECK_THROWS_AS(out["a_twice"].data_as<int>(), onepass::DtypeError);
        }
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("in the caller's stream a call waits for nothing, and all is in order") {
    {
        File file(kTwo);
        auto session = opened(file.path);
        Caller caller;
        float* there = caller.block(6);
        Call call;
        call.stream = caller.stream;
        std::vector<onepass::Outputs> kept;
        std::vector<std::vector<float>> eyes;
        for (int k = 0; k < 9; ++k) eyes.push_back(ramp(6, 10.0F * static_cast<float>(k)));
        for (std::size_t k = 0; k < eyes.size(); ++k) {
            const int waits = state().count("cudaStreamSynchronize");
            caller.queue_in(there, eyes[k]);  // over the last input, which the stream has been read from by then
            kept.push_back(session.run({{"eye", Input::gpu(there, {2, 3})}}, call));
            CHECK(state().count("cudaStreamSynchronize") == waits);
        }
        for (std::size_t k = 0; k < eyes.size(); ++k)
            CHECK(caller.back(kept[k]["a_twice"].data(), 6) == times(eyes[k], 2));
        CHECK(session.report().find("contexts 1 of") != std::string::npos);  // one stream needs one lane
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("from the host into a stream, call after call: no input is written over before it has been read") {
    File file(kTwo);
    auto session = opened(file.path);
    Caller caller;
    Call call;
    call.stream = caller.stream;
    std::vector<onepass::Outputs> kept;
    auto eyes = ramp(6);
    for (int k = 0; k < 5; ++k) {
        std::fill(eyes.begin(), eyes.end(), static_cast<float>(k));
        kept.push_back(session.run({{"eye", {eyes.data(), 2, 3}}}, call));
    }
    for (std::size_t k = 0; k < kept.size(); ++k)
        CHECK(caller.back(kept[k]["a_twice"].data(), 6) == std::vector<float>(6, 2.0F * static_cast<float>(k)));
}

TEST_CASE("the default stream is a stream, too: nullptr") {
    File file(kTwo);
    auto session = opened(file.path);
    Caller caller;
    Call call;
    call.stream = nullptr;
    const auto eyes = ramp(6);
    const int waits = state().count("cudaStreamSynchronize");
    const auto out = session.run({{"eye", {eyes.data(), 2, 3}}}, call);
    CHECK(state().count("cudaStreamSynchronize") == waits);
    cudaStreamSynchronize(nullptr);
    CHECK(caller.back(out["a_twice"].data(), 6) == times(eyes, 2));
}

TEST_CASE("calls in a stream, from the host, and for other shapes may follow each other as they like") {
    for (int shared : {0, 1}) {
        {
            File file("shared " + std::to_string(shared) +
                      "\ninput eye 0 device -1x3 1x3:2x3:16x3\noutput a 0 device -1x3 scale eye 2");
            auto session = opened(file.path);
            Caller caller, other;
            std::vector<std::pair<onepass::Outputs, std::vector<float>>> kept;
            for (std::size_t k = 0; k < 40; ++k) {
                const std::size_t n = 1 + k * 7 % 12;  // more shapes than passes are kept
                const auto eyes = ramp(3 * n, static_cast<float>(k));
                Call call;
                if (k % 5 != 0) call.stream = k % 2 ? caller.stream : other.stream;
                if (k % 4 == 1) {  // from the host into a stream
                    kept.emplace_back(session.run({{"eye", {eyes.data(), n, 3}}}, call), eyes);
                } else if (k % 4 == 2) {
                    CHECK(session.run({{"eye", {eyes.data(), n, 3}}})["a"].as<float>()[3 * n - 1] == 2 * eyes.back());
                } else {
                    const float* there = (k % 2 ? caller : other).on_gpu(eyes);
                    kept.emplace_back(
                        session.run({{"eye", Input::gpu(there, {static_cast<std::int64_t>(n), 3})}}, call), eyes);
                }
            }
            cudaStreamSynchronize(caller.stream);
            cudaStreamSynchronize(other.stream);
            for (const auto& [out, eyes] : kept)
                CHECK((out["a"].on_gpu() ? caller.back(out["a"].data(), eyes.size())
                                         : std::vector<float>(out["a"].as<float>().begin(),
                                                              out["a"].as<float>().end())) == times(eyes, 2));
        }
        CHECK(state().leaks() == 0);
    }
}

TEST_CASE("one session's results go into another as they are") {
    File file(kTwo);
    auto first = opened(file.path), second = opened(file.path);
    Caller caller;
    Call call;
    call.stream = caller.stream;
    const auto eyes = ramp(6);
    const auto half = first.run({{"eye", {eyes.data(), 2, 3}}}, call);
    const auto whole = second.run({{"eye", half["a_twice"]}}, call);
    CHECK(caller.back(whole["c_thrice"].data(), 6) == times(eyes, 6));
    const auto host = first.run({{"eye", {eyes.data(), 2, 3}}});
    CHECK(second.run({{"eye", host["a_twice"]}})["c_thrice"].as<float>()[5] == 36.0F);
}

TEST_CASE("outputs are written into the caller's arrays, on the host and on the GPU") {
    {
        File file(kTwo);
        auto session = opened(file.path);
        Caller caller;
        const auto eyes = ramp(6);
        std::vector<float> twice(6), thrice(6);
        Call call;
        call.out = {{"a_twice", {twice.data(), 2, 3}}};
        const auto out = session.run({{"eye", {eyes.data(), 2, 3}}}, call);
        CHECK(twice == times(eyes, 2));
        CHECK(out["a_twice"].data() == twice.data());
        CHECK(out["c_thrice"].as<float>()[5] == 18.0F);
        float* there = caller.block(6);
        call.out = {{"c_thrice", Target::gpu(there, {2, 3})}};
        call.outputs = {"c_thrice"};
        const auto stays = session.run({{"eye", {eyes.data(), 2, 3}}}, call);
        CHECK(stays.size() == 1);
        CHECK(stays["c_thrice"].data() == there);
        CHECK(caller.back(there, 6) == times(eyes, 3));
        call.outputs = {};
        const auto both = session.run({{"eye", {eyes.data(), 2, 3}}}, call);
        CHECK(caller.back(both["a_twice"].data(), 6) == times(eyes, 2));
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("arrays for outputs that do not fit are refused before anything is written") {
    File file(kTwo);
    auto session = opened(file.path);
    const auto eyes = ramp(6);
    std::vector<float> memory(12, -1);
    std::vector<double> doubles(6);
    const auto said = [&](onepass::Targets out, onepass::Names names = {}) {
        Call call;
        call.out = std::move(out);
        call.outputs = std::move(names);
        return message([&] { session.run({{"eye", {eyes.data(), 2, 3}}}, call); });
    };
    float* m = memory.data();
    CHECK(said({{"a", {m, 2, 3}}}).find("no output 'a'") != std::string::npos);
    CHECK(said({{"a_twice", {doubles.data(), 2, 3}}}) == "out 'a_twice': expected float32 [?, 3], got float64 [2, 3]");
    CHECK(said({{"a_twice", {m, 2, 2}}}) == "out 'a_twice': expected float32 [?, 3], got float32 [2, 2]");
    CHECK(said({{"a_twice", {m, 3, 3}}}) ==
          "out 'a_twice': expected [2, 3], the shape of this call's output, got [3, 3]");
    CHECK(said({{"a_twice", {m, 2, 3}}}, {"c_thrice"}) == "out 'a_twice': the call does not request this output");
    CHECK(said({{"a_twice", {m, 2, 3}}, {"a_twice", {m + 6, 2, 3}}}) == "out 'a_twice': it is given twice");
    CHECK(said({{"a_twice", {m, 2, 3}}, {"c_thrice", {m + 5, 2, 3}}}).find("the same memory") != std::string::npos);
    CHECK(said({{"a_twice", {m, 2, 3}}, {"c_thrice", {m + 6, 3, 3}}}).find("of this call's") != std::string::npos);
    CHECK(said({{"a_twice", {static_cast<float*>(nullptr), 2, 3}}}).find("null pointer") != std::string::npos);
    CHECK(said({{"a_twice", Target::gpu(m, {2, 3})}}) ==
          "out 'a_twice': the call says that it is on a GPU, but its address is in host memory");
    Caller caller;
    float* there = caller.block(6);
    CHECK(said({{"a_twice", {there, 2, 3}}}).find("use Input::gpu") != std::string::npos);
    CHECK(said({{"a_twice", Target::gpu(there, {2, 3})}, {"c_thrice", {m, 2, 3}}}).find("got host memory") !=
          std::string::npos);
    CHECK(said({{"a_twice", Target::gpu(there, {1, 3})}}).find("expected [2, 3], the shape of this call's output") !=
          std::string::npos);
    CHECK(memory == std::vector<float>(12, -1));
}

TEST_CASE("memory that lies elsewhere than the caller says is refused, not read") {
    File file(kTwo);
    auto session = opened(file.path);
    Caller caller;
    const auto eyes = ramp(6);
    const float* there = caller.on_gpu(eyes);
    CHECK(message([&] { session.run({{"eye", {there, 2, 3}}}); }) ==
          "input 'eye' is on a GPU; use Input::gpu(address, shape), or Target::gpu");
    CHECK(message([&] { session.run({{"eye", Input::gpu(eyes.data(), {2, 3})}}); }) ==
          "input 'eye': the call says that it is on a GPU, but its address is in host memory");
    Call call;
    call.stream = caller.stream;
    cudaStreamBeginCapture(caller.stream, cudaStreamCaptureModeThreadLocal);
    CHECK(message([&] { session.run({{"eye", Input::gpu(there, {2, 3})}}, call); }).find("being recorded") !=
          std::string::npos);
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(caller.stream, &graph);
    cudaGraphDestroy(graph);
    CHECK(message([&] { session.run({{"eye", Input::gpu(there, {2, 4})}}, call); }).find("Dimension 1 must be 3") !=
          std::string::npos);
    CHECK(session.run({{"eye", Input::gpu(there, {2, 3})}}, call).size() == 2);
}

TEST_CASE("what the engine holds in another dtype, or on the host, does not stay on the GPU") {
    File file(
        "shared 1\ninput x 0 device -1 1:2:8\noutput where 3 device -1 nonzero x\noutput y 0 device -1 scale x 2");
    auto session = opened(file.path);
    Caller caller;
    Call call;
    call.stream = caller.stream;
    const std::vector<float> x{0, 1, 0, 5};
    const float* there = caller.on_gpu(x);
    for (int k = 0; k < 3; ++k) {  // a size that depends on the data: the call waits for it, and the output stays
        const auto out = session.run({{"x", Input::gpu(there, {4})}}, call);
        CHECK(out["where"].shape() == onepass::Shape{2});
        CHECK(caller.back<std::int32_t>(out["where"].data(), 2) == std::vector<std::int32_t>{1, 3});
        CHECK(caller.back(out["y"].data(), 4) == times(x, 2));
    }
    auto* indices = reinterpret_cast<std::int32_t*>(caller.block(3));
    call.out = {{"where", Target::gpu(indices, {3})}};
    CHECK(message([&] { session.run({{"x", Input::gpu(there, {4})}}, call); }) ==
          "out 'where': expected [2], the shape of this call's output, got [3]");
    call.out = {{"where", Target::gpu(indices, {2})}};
    CHECK(session.run({{"x", Input::gpu(there, {4})}}, call)["where"].data() == indices);
    CHECK(caller.back<std::int32_t>(indices, 2) == std::vector<std::int32_t>{1, 3});
}

TEST_CASE("threads with streams of their own") {
    {
        File file(kTwo);
        auto session = opened(file.path);
        std::atomic<int> wrong{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 6; ++t)
            threads.emplace_back([&, t] {
                Caller caller;
                Call call;
                if (t % 3 != 2) call.stream = caller.stream;
                float* there = caller.block(6);
                for (int i = 0; i < 40; ++i) {
                    const auto eyes = ramp(6, static_cast<float>(100 * t + i));
                    caller.queue_in(there, eyes);
                    if (!call.stream) cudaStreamSynchronize(caller.stream);
                    const auto out = session.run({{"eye", Input::gpu(there, {2, 3})}}, call);
                    if (caller.back(out["a_twice"].data(), 6) != times(eyes, 2)) ++wrong;
                }
            });
        for (auto& each : threads) each.join();
        CHECK(wrong == 0);
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("a failure anywhere in a call that stays on the GPU leaks nothing, and the next call is right") {
    File file(kTwo);
    const auto eyes = ramp(6);
    int failures = 0;
    for (const char* what : {"cudaMalloc", "cudaMemcpyAsync", "cudaEventRecord", "cudaStreamWaitEvent",
                             "cudaEventCreateWithFlags", "cudaGraphLaunch", "cudaStreamBeginCapture", "enqueueV3"})
        for (int nth = 1; nth <= 4; ++nth) {
            {
                Caller caller;
                const float* there = caller.on_gpu(eyes);
                Call call;
                call.stream = caller.stream;
                state().fail_in = {{what, nth}};
                try {
                    auto session = opened(file.path);
                    for (int i = 0; i < 3; ++i) try {
                            session.run({{"eye", Input::gpu(there, {2, 3})}}, call);
                        } catch (const onepass::BackendError&) { ++failures; }
                    state().fail_in.clear();
                    const auto out = session.run({{"eye", Input::gpu(there, {2, 3})}}, call);
                    CHECK(caller.back(out["a_twice"].data(), 6) == times(eyes, 2));
                } catch (const onepass::BackendError&) { ++failures; }
                state().fail_in.clear();
            }
            CHECK_MESSAGE(state().leaks() == 0, what);
        }
    CHECK(failures > 15);
}

TEST_CASE("inputs are filled in place, in page-locked memory that the GPU fetches them from") {
    std::optional<onepass::EmptyInputs> kept;
    {
        File file(
            "shared 1\ninput a 0 device -1x3 1x3:2x3:8x3\ninput b 0 device 2 2:2:2\noutput twice 0 device -1x3 scale a "
            "2\noutput b_twice 0 device 2 scale b 2");
        auto session = opened(file.path);
        auto lent = session.empty_inputs({{"a", {2, 3}}});
        CHECK(lent.shape("b") == onepass::Shape{2});
        cudaPointerAttributes where{};
        cudaPointerGetAttributes(&where, lent.data<float>("a"));
        CHECK(where.type == cudaMemoryTypeHost);
        for (int call = 0; call < 4; ++call) {
            const auto values = ramp(6, static_cast<float>(call));
            std::copy(values.begin(), values.end(), lent.data<float>("a"));
            lent.data<float>("b")[0] = lent.data<float>("b")[1] = 7;
            const int launches = state().count("cudaGraphLaunch");
            const auto out = session.run(lent);
            CHECK(out["twice"].as<float>()[5] == 2 * values.back());
            CHECK(out["b_twice"].as<float>()[1] == 14.0F);
            if (call > 1) CHECK(state().count("cudaGraphLaunch") == launches + 1);
        }
        std::vector<onepass::EmptyInputs> many;
        for (int i = 0; i < 6; ++i) {  // beyond four of a shape it is ordinary memory, which serves as well
            many.push_back(session.empty_inputs({{"a", {2, 3}}}));
            std::fill_n(many.back().data<float>("a"), 6, static_cast<float>(i));
            many.back().data<float>("b")[1] = 1;
        }
        for (int i = 0; i < 6; ++i)
            CHECK(session.run(many[static_cast<std::size_t>(i)])["twice"].as<float>()[0] ==
                  2.0F * static_cast<float>(i));
        for (std::int64_t n = 1; n <= 8; ++n) {  // and more shapes than are kept
            auto other = session.empty_inputs({{"a", {n, 3}}});
            std::fill_n(other.data<float>("a"), 3 * n, 1.0F);
            std::fill_n(other.data<float>("b"), 2, 1.0F);
            CHECK(session.run(other)["twice"].as<float>()(n - 1, 2) == 2.0F);
        }
        CHECK(message([&] { session.empty_inputs(); }) ==
              "input 'a' (float32 [?, 3]) needs a shape: empty_inputs({{\"a\", {...}}})");
        CHECK(message([&] { session.empty_inputs({{"a", {2, 4}}}); }) ==
              "input 'a': expected a shape that fits float32 [?, 3], got [2, 4]");
        CHECK_THROWS_AS(session.empty_inputs({{"c", {2, 4}}}), InputError);
        CHECK_THROWS_AS(lent.data<float>("c"), InputError);
        CHECK_THROWS_AS(lent.data<int>("a"), onepass::DtypeError);
        kept = std::move(lent);
    }
    kept->data<float>("a")[5] = 1;  // it outlives the session
    kept.reset();
    CHECK(state().leaks() == 0);
}

TEST_CASE("lent inputs may be filled anew as soon as a call in a stream has returned") {
    File file(kTwo);
    auto session = opened(file.path);
    Caller caller;
    Call call;
    call.stream = caller.stream;
    auto lent = session.empty_inputs({{"eye", {1, 3}}});
    std::fill_n(lent.data<float>("eye"), 3, 4.0F);
    const auto out = session.run(lent, call);
    std::fill_n(lent.data<float>("eye"), 3, 9.0F);
    CHECK(caller.back(out["a_twice"].data(), 3) == std::vector<float>(3, 8.0F));
}

TEST_CASE("the bare pass can be timed: launched and waited for, with nothing around it") {
    File file(kTwo);
    auto session = opened(file.path);
    const auto eyes = ramp(6);
    std::vector<onepass::Outputs> kept;
    for (int k = 0; k < 6; ++k) kept.push_back(session.run({{"eye", {eyes.data(), 2, 3}}}));
    const int launches = state().count("cudaGraphLaunch");
    const auto others = ramp(6, 50);
    CHECK(session.bare_runs({{"eye", {others.data(), 2, 3}}}, 7).size() == 7);
    for (const auto& each : kept) CHECK(each["a_twice"].as<float>()[5] == 12.0F);  // nobody's results are written over
    kept.clear();
    CHECK(session.bare_runs({{"eye", {eyes.data(), 2, 3}}}, 7).size() == 7);
    CHECK(state().count("cudaGraphLaunch") >= launches + 7);
    onepass::Options options;
    options.graphs = false;
    CHECK(opened(file.path, options).bare_runs({{"eye", {eyes.data(), 2, 3}}}, 7).empty());
}
