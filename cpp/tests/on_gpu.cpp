// On real GPUs: onepass-on-gpu model.engine eye=2x1x36x60 [CALLS]. Holds what a call can do with memory on the GPU,
// streams, and arrays of the caller's against plain calls, bit by bit; then times it, and looks whether memory grows.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <onepass/onepass.hpp>
#include <sstream>
#include <thread>

namespace {

using Bytes = std::vector<char>;
using Clock = std::chrono::steady_clock;

void must(cudaError_t status) {
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}
struct Stream {
    cudaStream_t stream = nullptr;
    Stream() { must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
    ~Stream() { static_cast<void>(cudaStreamDestroy(stream)); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
};

struct Check {
    const onepass::Session& session;
    std::string name;
    onepass::Shape shape;
    int wrong = 0;

    // Inputs of float32 that differ from one number to the next.
    std::vector<float> values(std::size_t number) const {
        std::vector<float> made(shape.count());
        for (std::size_t i = 0; i < made.size(); ++i)
            made[i] = static_cast<float>((i * 37 + number * 101) % 255) / 255.0F;
        return made;
    }
    onepass::Inputs host(const std::vector<float>& eyes) const { return {{name, {eyes.data(), shape}}}; }
    onepass::Inputs gpu(const float* eyes) const { return {{name, onepass::Input::gpu(eyes, shape)}}; }

    static std::vector<Bytes> bytes_of(const onepass::Outputs& outputs) {
        std::vector<Bytes> all;
        for (const onepass::Tensor& each : outputs) {
            Bytes own(each.size_bytes());
            must(cudaMemcpy(own.data(), each.data(), own.size(), cudaMemcpyDefault));
            all.push_back(std::move(own));
        }
        return all;
    }
    void expect(const char* what, bool holds) {
        std::printf("%s: %s\n", holds ? "ok   " : "WRONG", what);
        wrong += holds ? 0 : 1;
    }
    void bits();
    void threads();
    void times(int calls);
    void gpus(const std::string& model);
};

float* copied(const std::vector<float>& values) {
    void* there = nullptr;
    must(cudaMalloc(&there, values.size() * sizeof(float)));
    must(cudaMemcpy(there, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice));
    return static_cast<float*>(there);
}

void Check::bits() {
    constexpr std::size_t kInputs = 12;
    std::vector<std::vector<Bytes>> expected;
    for (std::size_t k = 0; k < kInputs; ++k) {
        const auto eyes = values(k);
        session.run(host(eyes));
        expected.push_back(bytes_of(session.run(host(eyes))));
    }
    expect("inputs differ in what comes out", expected[0] != expected[1]);
    bool same = true, there = true;
    for (std::size_t k = 0; k < kInputs; ++k) {
        float* eyes = copied(values(k));
        const auto outputs = session.run(gpu(eyes));
        for (const auto& each : outputs) there = there && each.on_gpu();
        same = same && bytes_of(outputs) == expected[k];
        must(cudaFree(eyes));
    }
    expect("from the GPU to the GPU: the same bits", same && there);

    const Stream stream;
    onepass::Call call;
    call.stream = stream.stream;
    float* eyes = copied(values(0));
    void* pinned = nullptr;
    const std::size_t size = shape.count() * sizeof(float);
    must(cudaHostAlloc(&pinned, kInputs * size, cudaHostAllocPortable));
    std::vector<onepass::Outputs> kept;
    for (std::size_t k = 0; k < kInputs; ++k) {
        const auto own = values(k);
        char* from = static_cast<char*>(pinned) + k * size;
        std::memcpy(from, own.data(), size);
        must(cudaMemcpyAsync(eyes, from, size, cudaMemcpyHostToDevice, stream.stream));
        kept.push_back(session.run(gpu(eyes), call));
    }
    must(cudaStreamSynchronize(stream.stream));
    same = true;
    for (std::size_t k = 0; k < kInputs; ++k) same = same && bytes_of(kept[k]) == expected[k];
    expect("one input in a stream, overwritten between calls that nobody waits for: the same bits", same);

    same = true;
    for (std::size_t k = 0; k < kInputs; ++k) {
        auto own = values(k);
        const auto outputs = session.run(host(own), call);
        std::fill(own.begin(), own.end(), -1.0F);
        must(cudaStreamSynchronize(stream.stream));
        same = same && bytes_of(outputs) == expected[k];
    }
    expect("from the host into a stream, the array overwritten at once: the same bits", same);

    std::vector<Bytes> memory;
    std::vector<void*> blocks;
    onepass::Call into, onto;
    const auto first = session.run(host(values(0)));
    for (const auto& each : first) {
        memory.emplace_back(each.size_bytes());
        blocks.push_back(nullptr);
        must(cudaMalloc(&blocks.back(), each.size_bytes()));
        into.out.emplace_back(each.name(), onepass::Target(each.dtype(), memory.back().data(), each.shape()));
        onto.out.emplace_back(each.name(), onepass::Target::gpu(each.dtype(), blocks.back(), each.shape()));
    }
    onto.stream = stream.stream;
    must(cudaMemcpy(eyes, values(3).data(), size, cudaMemcpyHostToDevice));
    const auto own = values(3);
    session.run(host(own), into);
    expect("into the caller's arrays: the same bits", memory == expected[3]);
    const auto there_too = session.run(gpu(eyes), onto);
    must(cudaStreamSynchronize(stream.stream));
    same = bytes_of(there_too) == expected[3];
    for (std::size_t i = 0; i < blocks.size(); ++i) same = same && there_too.at(i).data() == blocks[i];
    expect("into the caller's memory on the GPU: the same bits", same);
    for (void* each : blocks) must(cudaFree(each));

    auto lent = session.empty_inputs({{name, shape}});
    same = true;
    for (std::size_t k = 0; k < kInputs; ++k) {
        const auto filled = values(k);
        std::copy(filled.begin(), filled.end(), lent.data<float>(name));
        same = same && bytes_of(session.run(lent)) == expected[k];
    }
    expect("inputs filled in place: the same bits", same);
    must(cudaFree(eyes));
    must(cudaFreeHost(pinned));
}

void Check::threads() {
    std::vector<std::vector<Bytes>> expected;
    for (std::size_t k = 0; k < 4; ++k) {
        const auto eyes = values(k);
        expected.push_back(bytes_of(session.run(host(eyes))));
    }
    std::vector<int> failures(8);
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < failures.size(); ++t)
        workers.emplace_back([&, t] {
            const Stream stream;
            onepass::Call call;
            call.stream = stream.stream;
            const auto own = values(t % 4);
            float* eyes = copied(own);
            for (int i = 0; i < 200; ++i) {
                const auto outputs = i % 3 ? session.run(gpu(eyes), call) : session.run(host(own));
                must(cudaStreamSynchronize(stream.stream));
                failures[t] += bytes_of(outputs) == expected[t % 4] ? 0 : 1;
            }
            must(cudaFree(eyes));
        });
    for (std::thread& each : workers) each.join();
    int sum = 0;
    for (const int each : failures) sum += each;
    expect("eight threads with streams of their own: the same bits", sum == 0);
}

std::pair<long, long> in_use() {
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    std::size_t free_bytes = 0, all_bytes = 0;
    must(cudaMemGetInfo(&free_bytes, &all_bytes));
    return {pages * 4, static_cast<long>((all_bytes - free_bytes) / 1024)};
}

void Check::times(int calls) {
    const auto own = values(0);
    float* eyes = copied(own);
    const Stream stream;
    onepass::Call call;
    call.stream = stream.stream;
    auto lent = session.empty_inputs({{name, shape}});
    std::copy(own.begin(), own.end(), lent.data<float>(name));
    const auto time = [&](const char* what, int count, auto once, auto finish) {
        std::vector<double> microseconds;
        const auto begun = Clock::now();
        for (int i = 0; i < count; ++i) {
            const auto before = Clock::now();
            once();
            microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
        }
        finish();
        const double whole = std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
        std::nth_element(microseconds.begin(), microseconds.begin() + count / 2, microseconds.end());
        std::printf("%-34s median %8.1f us, %8.1f us a call in all\n", what,
                    microseconds[static_cast<std::size_t>(count / 2)], whole / count);
    };
    const auto nothing = [] {};
    const auto wait = [&] { must(cudaStreamSynchronize(stream.stream)); };
    for (int round = 0; round < 2; ++round) {
        time("from the host, to the host", 500, [&] { session.run(host(own)); }, nothing);
        time("filled in place, to the host", 500, [&] { session.run(lent); }, nothing);
        time("from the GPU, to the GPU, waiting", 500, [&] { session.run(gpu(eyes)); }, nothing);
        time("from the GPU, to the GPU, queued", 500, [&] { session.run(gpu(eyes), call); }, wait);
        const auto bare = session.bare_runs(host(own), 500);
        std::size_t at = 0;
        if (!bare.empty()) {
            auto sorted = bare;
            std::nth_element(sorted.begin(), sorted.begin() + 250, sorted.end());
            at = 250;
            std::printf("%-34s median %8.1f us\n", "GPU and copies", sorted[at]);
        }
    }
    const auto before = in_use();
    for (int i = 0; i < calls; ++i) {
        session.run(host(own));
        session.run(gpu(eyes), call);
        if (i % 100 == 99) wait();
    }
    wait();
    const auto after = in_use();
    std::printf("%d calls of each kind: process %ld kB -> %ld kB, GPU %ld kB -> %ld kB\n", calls, before.first,
                after.first, before.second, after.second);
    expect("memory does not grow", after.first - before.first < 2048 && after.second == before.second);
    must(cudaFree(eyes));
}

// One session over all GPUs: each call where its memory lies, and several threads over all of them.
void Check::gpus(const std::string& model) {
    int count = 0;
    must(cudaGetDeviceCount(&count));
    if (count < 2) return;
    onepass::Options options;
    options.device = onepass::Devices::all();
    const onepass::Session all = onepass::load(model, options);
    const auto eyes = values(1);
    const auto expected = bytes_of(session.run(host(eyes)));
    bool same = true;
    for (int number = 0; number < count; ++number) {
        must(cudaSetDevice(number));
        {
            const Stream stream;
            onepass::Call call;
            call.stream = stream.stream;
            float* there = copied(eyes);
            for (int i = 0; i < 20; ++i) {
                const auto outputs = all.run(gpu(there), call);
                must(cudaStreamSynchronize(stream.stream));
                same = same && outputs.at(0).device() == number && bytes_of(outputs) == expected;
            }
            must(cudaFree(there));
        }
        must(cudaSetDevice(0));
    }
    expect("each GPU runs what lies on it, in a stream of its own: the same bits", same);
    for (const auto* each : {&session, &all}) {
        std::vector<int> failures(static_cast<std::size_t>(2 * count));
        for (int round = 0; round < 2; ++round) {  // the first to warm up
            const auto begun = Clock::now();
            std::vector<std::thread> workers;
            for (auto& own : failures)
                workers.emplace_back([&] {
                    for (int i = 0; i < 300; ++i) {
                        const auto outputs = each->run(host(eyes));
                        if (i % 50 == 0 && bytes_of(outputs) != expected) ++own;
                    }
                });
            for (std::thread& worker : workers) worker.join();
            const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
            if (round)
                std::printf("%zu threads over %s: %.0f calls a second\n", failures.size(),
                            each == &all ? "all GPUs" : "one GPU",
                            300 * static_cast<double>(failures.size()) / seconds);
        }
        for (const int own : failures) same = same && own == 0;
    }
    expect("threads over all GPUs: the same bits", same);
    std::printf("%s\n", all.report().c_str());
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 3) return std::fputs("usage: onepass-on-gpu MODEL INPUT=2x3x4 [CALLS]\n", stderr), 2;
    const std::string word = argv[2], name = word.substr(0, word.find('='));
    std::vector<std::int64_t> sizes;
    std::istringstream parts(word.substr(word.find('=') + 1));
    for (std::string part; std::getline(parts, part, 'x');) sizes.push_back(std::stoll(part));
    const onepass::Session session = onepass::load(argv[1]);
    Check check{session, name, onepass::Shape(sizes)};
    check.bits();
    check.threads();
    check.gpus(argv[1]);
    check.times(argc > 3 ? std::stoi(argv[3]) : 1000);
    std::printf("%s\n", session.report().c_str());
    return check.wrong ? 1 : 0;
} catch (const std::exception& error) { return std::fprintf(stderr, "%s\n", error.what()), 1; }
