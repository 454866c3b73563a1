// What the tests of engines share: engines of the stand-in, and their sidecars.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <onepass/onepass.hpp>
#include <random>
#include <string>
#include <vector>

#include "json.hpp"
#include "sha256.hpp"
#include "standin.hpp"

extern "C" std::int32_t getInferLibVersion() noexcept;
using standin::state;

// An engine in a file of its own, with a sidecar where one is given; both go in the end.
struct File {
    std::string path, content;
    explicit File(const std::string& body, const std::string& sidecar = "", int version = getInferLibVersion())
        : content("ptrt\nstandin " + std::to_string(version) + "\n" + body + "\nend\n") {
        static const unsigned run = std::random_device()();
        static std::atomic<int> number{0};
        path = (std::filesystem::temp_directory_path() /
                ("onepass_" + std::to_string(run) + "_" + std::to_string(++number) + ".engine"))
                   .string();
        std::ofstream(path, std::ios::binary) << content;
        if (!sidecar.empty()) std::ofstream(path + ".json", std::ios::binary) << sidecar;
    }
    ~File() {
        for (const char* ending : {"", ".json", ".json.new"}) std::remove((path + ending).c_str());
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
};

inline onepass::Session opened(const std::string& path, onepass::Options options = {}) {
    options.runtime = std::getenv("STANDIN_LIBRARY");
    return onepass::load(path, options);
}

inline const char* const kTwo =
    "shared 1\ninput eye 0 device -1x3 1x3:2x3:8x3\noutput c_thrice 0 device -1x3 scale eye 3\n"
    "output a_twice 0 device -1x3 scale eye 2";

inline std::vector<float> ramp(std::size_t count, float from = 1) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), from);
    return values;
}

template <class F>
std::string message(F&& call) {
    try {
        call();
    } catch (const onepass::Error& error) { return error.what(); }
    return "(nothing thrown)";
}
