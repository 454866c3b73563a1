// Runs a model once and writes each output: onepass-run model.engine eye=eye.npy --into results
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <onepass/onepass.hpp>

#include "npy.hpp"

namespace {

constexpr const char* kUsage =
    "usage: onepass-run MODEL [INPUT=FILE.npy ...] [--into FOLDER] [--outputs NAME] [--runtime LIBRARY] [--report]\n"
    "Runs an engine or an ONNX model once; without inputs and --into it says which there are. --into writes 0.npy, "
    "1.npy …\n"
    "in the model's order. --runtime is the library that runs it, --outputs may be given several times.\n";

void describe(const onepass::Session& session) {
    for (const auto& spec : session.inputs())
        std::printf("input  %s: %s\n", spec.name.c_str(), to_string(spec).c_str());
    for (const auto& spec : session.outputs())
        std::printf("output %s: %s\n", spec.name.c_str(), to_string(spec).c_str());
}

void run(const std::vector<std::string>& words) {
    std::string into;
    onepass::Options options;
    std::vector<std::string> given, wanted;
    bool report = false;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const bool more = i + 1 < words.size();
        if (words[i] == "--into" && more)
            into = words[++i];
        else if (words[i] == "--outputs" && more)
            wanted.push_back(words[++i]);
        else if (words[i] == "--runtime" && more)
            options.runtime = words[++i];
        else if (words[i] == "--report")
            report = true;
        else
            given.push_back(words[i]);
    }
    const onepass::Session session = onepass::load(words[0], options);
    if (given.empty() && into.empty()) return describe(session);
    std::vector<npy::Array> arrays;
    arrays.reserve(given.size());
    onepass::Inputs inputs;
    for (const std::string& each : given) {
        const std::size_t split = std::min(each.rfind('='), each.size());
        const std::string name = each.substr(0, split);
        const auto& specs = session.inputs();
        const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == name; });
        const auto expected = spec == specs.end() ? onepass::Dtype::float32 : spec->dtype;
        arrays.push_back(npy::read(each.substr(std::min(split + 1, each.size())), expected));
        inputs.emplace_back(std::string_view(each).substr(0, split), arrays.back().input());
    }
    const onepass::Outputs outputs =
        wanted.empty() ? session.run(inputs) : session.run(inputs, onepass::Names(wanted.begin(), wanted.end()));
    if (!into.empty()) std::filesystem::create_directories(into);
    int number = 0;
    for (const auto& each : outputs) {
        std::printf("%s: %s %s\n", each.name().c_str(), std::string(name(each.dtype())).c_str(),
                    to_string(each.shape()).c_str());
        if (!into.empty()) npy::write(into + "/" + std::to_string(number++) + ".npy", each);
    }
    if (report) std::printf("%s\n", session.report().c_str());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 2) return std::fputs(kUsage, stderr), 2;
        run({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& error) { return std::fprintf(stderr, "%s\n", error.what()), 1; }
}
