// Times calls of a model: onepass-bench model.engine eye=1x1x36x60 [--calls 400] [--threads 1] [--runtime LIBRARY]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <onepass/onepass.hpp>
#include <sstream>
#include <thread>

namespace {

constexpr const char* kUsage =
    "usage: onepass-bench MODEL INPUT=2x3x4 ... [--calls 400] [--threads 1] [--runtime LIBRARY]\n"
    "Prints the median of a call in microseconds and, beside it, that of the engine's recorded copies and computation\n"
    "launched and waited for with nothing around them; of several threads, calls a second; memory before and after.\n";

using Clock = std::chrono::steady_clock;

onepass::Shape shape_of(const std::string& text) {
    std::vector<std::int64_t> sizes;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, 'x');) sizes.push_back(std::stoll(part));
    return onepass::Shape(std::move(sizes));
}

// Zeros and ones: sound numbers of every dtype.
std::vector<char> made_up(onepass::Dtype dtype, std::size_t count) {
    std::vector<char> bytes(count * onepass::size_of(dtype));
    if (dtype != onepass::Dtype::float32) return bytes;
    auto* values = reinterpret_cast<float*>(bytes.data());
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 97) / 97.0F;
    return bytes;
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// What the process and the GPU have in use; the first where Linux tells it.
std::string memory(const onepass::Session& session) {
    std::string text;
    long pages = 0;
    if (std::ifstream file("/proc/self/statm"); file >> pages >> pages)
        text = "process " + std::to_string(pages * 4) + " kB";
    std::istringstream lines(session.report());
    for (std::string line; std::getline(lines, line);)
        if (line.rfind("memory ", 0) == 0) text += ", GPU's " + line;
    return text;
}

// The microseconds of each call of each thread.
std::vector<std::vector<double>> timed(const onepass::Session& session, const onepass::Inputs& inputs,
                                       std::size_t calls, std::size_t threads) {
    std::vector<std::vector<double>> times(threads);
    std::vector<std::thread> workers;
    for (auto& own : times)
        workers.emplace_back([&session, &inputs, &own, calls] {
            own.reserve(calls);
            for (std::size_t i = 0; i < calls; ++i) {
                const auto before = Clock::now();
                const onepass::Outputs outputs = session.run(inputs);
                own.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
            }
        });
    for (std::thread& each : workers) each.join();
    return times;
}

void bench(const std::vector<std::string>& words) {
    onepass::Options options;
    std::vector<std::string> given;
    std::size_t calls = 400, threads = 1;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const bool more = i + 1 < words.size();
        if (words[i] == "--calls" && more)
            calls = std::stoul(words[++i]);
        else if (words[i] == "--threads" && more)
            threads = std::stoul(words[++i]);
        else if (words[i] == "--runtime" && more)
            options.runtime = words[++i];
        else
            given.push_back(words[i]);
    }
    const onepass::Session session = onepass::load(words[0], options);
    std::vector<std::vector<char>> memories;
    onepass::Inputs inputs;
    for (const std::string& each : given) {
        const std::size_t split = std::min(each.find('='), each.size());
        const std::string_view name = std::string_view(each).substr(0, split);
        const onepass::Shape shape = shape_of(each.substr(std::min(split + 1, each.size())));
        for (const onepass::TensorSpec& spec : session.inputs())
            if (spec.name == name) {
                memories.push_back(made_up(spec.dtype, shape.count()));
                inputs.emplace_back(name, onepass::Input(spec.dtype, memories.back().data(), shape));
            }
    }
    if (calls == 0 || threads == 0) return;
    timed(session, inputs, calls / 4 + 1, threads);  // to warm up
    const std::string before = memory(session);
    const auto begun = Clock::now();
    std::vector<double> times;
    if (threads > 1) {
        for (const auto& own : timed(session, inputs, calls, threads))
            times.insert(times.end(), own.begin(), own.end());
        std::printf("call %.1f us, %.1f calls/s in %zu threads\n", median(times),
                    static_cast<double>(times.size()) / std::chrono::duration<double>(Clock::now() - begun).count(),
                    threads);
    } else {
        // In turn with the bare passes, so that both are measured while the machine is the same.
        std::vector<double> bare;
        constexpr std::size_t kRounds = 20;
        for (std::size_t round = 0; round < kRounds; ++round) {
            const std::size_t share = (calls + kRounds - 1) / kRounds;
            const auto own = timed(session, inputs, share, 1)[0];
            times.insert(times.end(), own.begin(), own.end());
            const auto alone = session.bare_runs(inputs, share);
            bare.insert(bare.end(), alone.begin(), alone.end());
        }
        std::printf("call %.1f us", median(times));
        if (!bare.empty())
            std::printf(", GPU and copies %.1f us, ratio %.3f", median(bare), median(times) / median(bare));
        std::printf("; %zu calls\n", times.size());
    }
    std::printf("before: %s\nafter:  %s\n%s\n", before.c_str(), memory(session).c_str(), session.report().c_str());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3) return std::fputs(kUsage, stderr), 2;
        bench({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& error) { return std::fprintf(stderr, "%s\n", error.what()), 1; }
}
