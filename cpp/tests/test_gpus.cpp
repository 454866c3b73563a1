// One session over several GPUs; weights that are streamed.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <thread>

#include "support.hpp"

namespace {

struct Gpus {  // as long as it lives, the stand-in has this many
    explicit Gpus(int count) { state().gpus = count; }
    ~Gpus() {
        state().gpus = 1;
        state().broken = -1;
        cudaSetDevice(0);
    }
    Gpus(const Gpus&) = delete;
    Gpus& operator=(const Gpus&) = delete;
};

onepass::Session on(const std::string& path, const onepass::Devices& devices) {
    onepass::Options options;
    options.device = devices;
    return opened(path, options);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("calls go to a GPU that is free, and a single caller stays on one") {
    const Gpus two(2);
    {
        File file("shared 0\ninput eye 0 device -1x3 1x3:2x3:8x3\noutput a 0 device -1x3 scale eye 2");
        auto session = on(file.path, onepass::Devices::all());
        const auto eyes = ramp(6);
        for (int call = 0; call < 4; ++call) session.run({{"eye", {eyes.data(), 2, 3}}});
        const std::string report = session.report();
        CHECK(has(report.substr(0, report.find("GPU 1")), "recorded"));
        CHECK(!has(report.substr(report.find("GPU 1")), "profile"));
        std::atomic<int> wrong{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 6; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 60; ++i) {
                    const auto own = ramp(6, static_cast<float>(100 * t + i));
                    if (session.run({{"eye", {own.data(), 2, 3}}})["a"].as<float>()[5] != 2 * own[5]) ++wrong;
                }
            });
        for (auto& each : threads) each.join();
        CHECK(wrong == 0);
        CHECK(has(session.report().substr(report.find("GPU 1")), "profile"));  // it took its share
        int here = -1;
        cudaGetDevice(&here);
        CHECK(here == 0);  // the thread has the GPU that it had
    }
    CHECK(state().leaks() == 0);
}

TEST_CASE("a call runs on the GPU that its memory lies on") {
    const Gpus two(2);
    File file(kTwo);
    auto session = on(file.path, {0, 1});
    void* there[2] = {};
    cudaStream_t stream = nullptr;
    for (const int number : {0, 1}) {
        cudaSetDevice(number);
        cudaMalloc(&there[number], 24);
    }
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);  // on GPU 1
    cudaSetDevice(0);
    const auto eye = [&](int number) { return onepass::Input::gpu(onepass::Dtype::float32, there[number], {2, 3}); };
    for (const int number : {1, 0, 1}) CHECK(session.run({{"eye", eye(number)}})["a_twice"].device() == number);
    onepass::Call call;
    call.stream = stream;
    CHECK(session.run({{"eye", eye(1)}}, call)["a_twice"].device() == 1);
    CHECK(has(message([&] { session.run({{"eye", eye(0)}}, call); }), "cudaEventRecord failed"));  // GPU 1's stream
    call.out = {{"a_twice", onepass::Target::gpu(onepass::Dtype::float32, there[0], {2, 3})}};
    CHECK(has(message([&] { session.run({{"eye", eye(1)}}, call); }), "a call runs on one GPU"));
    const auto eyes = ramp(6);
    call.out = {};
    CHECK(has(message([&] { session.run({{"eye", {eyes.data(), 2, 3}}}, call); }), "no memory that tells"));
    auto first = on(file.path, 0);
    CHECK(has(message([&] { first.run({{"eye", eye(1)}}); }), "is on GPU 1, but the model is not"));
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    for (void* each : there) cudaFree(each);
}

TEST_CASE("a GPU that breaks down is named, and further calls go to the others") {
    const Gpus two(2);
    File file(kTwo);
    auto session = on(file.path, {0, 1});
    const auto eyes = ramp(6);
    session.run({{"eye", {eyes.data(), 2, 3}}});
    state().broken = 0;
    CHECK(has(message([&] { session.run({{"eye", {eyes.data(), 2, 3}}}); }), "GPU 0 (Stand-in GPU): "));
    for (int call = 0; call < 3; ++call)
        CHECK(session.run({{"eye", {eyes.data(), 2, 3}}})["a_twice"].as<float>()[5] == 12.0F);
    CHECK(has(session.report(), "GPU 0, Stand-in GPU, broken"));
}

TEST_CASE("numbers of GPUs are checked") {
    File file(kTwo);
    CHECK_THROWS_AS(on(file.path, {0, 1}), onepass::DeviceError);
    CHECK(message([&] { on(file.path, -1); }) ==
          "device must be the number of a GPU (>= 0), several numbers, or Devices::all()");
    CHECK(message([&] { on(file.path, {0, 0}); }) == "device contains GPU 0 twice");
    CHECK_THROWS_AS(on(file.path, onepass::Devices(std::vector<int>{})), onepass::InputError);
    const Gpus none(0);
    CHECK_THROWS_AS(on(file.path, onepass::Devices::all()), onepass::DeviceError);
}

TEST_CASE("weights are streamed where the engine and TensorRT can, and such a pass is not recorded") {
    onepass::Options options;
    options.weight_streaming_bytes = 1000;
    File plain(kTwo), streamable(std::string(kTwo) + "\nstreamable");
    const int version = getInferLibVersion();
    if (version < 100000 && version / 10000 != 1) {  // RTX calls itself 1.7
        CHECK_THROWS_AS(opened(streamable.path, options), onepass::UnsupportedModelError);
        return;
    }
    CHECK(has(message([&] { opened(plain.path, options); }), "must be built with weight streaming"));
    auto session = opened(streamable.path, options);
    const auto eyes = ramp(6);
    for (int call = 0; call < 3; ++call)
        CHECK(session.run({{"eye", {eyes.data(), 2, 3}}})["a_twice"].as<float>()[5] == 12.0F);
    CHECK(has(session.report(), "queued: the weights are streamed"));
    options.weight_streaming_bytes = -1;
    CHECK_THROWS_AS(opened(streamable.path, options), onepass::InputError);
}
