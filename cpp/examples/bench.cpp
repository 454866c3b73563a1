// Times calls of a model: onepass-bench model.engine eye=1x1x36x60 [--calls 400] [--threads 1] [--runtime LIBRARY]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <onepass/onepass.hpp>
#include <sstream>
#include <thread>

namespace {

constexpr const char* kUsage =
    "usage: onepass-bench MODEL INPUT=2x3x4 ... [--calls 400] [--threads 1] [--runtime LIBRARY]\n"
    "Prints the median of a call in microseconds, after a quarter of the calls for warming up, and calls a second.\n";

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
    std::vector<std::vector<char>> memory;
    onepass::Inputs inputs;
    for (const std::string& each : given) {
        const std::size_t split = std::min(each.find('='), each.size());
        const std::string_view name = std::string_view(each).substr(0, split);
        const onepass::Shape shape = shape_of(each.substr(std::min(split + 1, each.size())));
        for (const onepass::TensorSpec& spec : session.inputs())
            if (spec.name == name) {
                memory.push_back(made_up(spec.dtype, shape.count()));
                inputs.emplace_back(name, onepass::Input(spec.dtype, memory.back().data(), shape));
            }
    }
    using Clock = std::chrono::steady_clock;
    std::vector<std::vector<double>> times(threads);
    std::vector<std::thread> workers;
    const auto begun = Clock::now();
    for (auto& own : times)
        workers.emplace_back([&session, &inputs, &own, calls] {
            for (std::size_t i = 0; i < calls; ++i) {
                const auto before = Clock::now();
                const onepass::Outputs outputs = session.run(inputs);
                own.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
            }
        });
    for (std::thread& each : workers) each.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    std::vector<double> warm;
    for (const auto& own : times)
        warm.insert(warm.end(), own.begin() + static_cast<std::ptrdiff_t>(own.size() / 4), own.end());
    if (warm.empty()) return;
    const auto middle = warm.begin() + static_cast<std::ptrdiff_t>(warm.size() / 2);
    std::nth_element(warm.begin(), middle, warm.end());
    std::printf("median %.1f us, %.1f calls/s in %zu thread(s)\n%s\n", *middle,
                static_cast<double>(calls * threads) / seconds, threads, session.report().c_str());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3) return std::fputs(kUsage, stderr), 2;
        bench({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& error) { return std::fprintf(stderr, "%s\n", error.what()), 1; }
}
