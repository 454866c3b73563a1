// The sidecar of an engine, <engine>.json, as docs/sidecar.md has it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// One input or output of the model, and the engine's tensor that carries it.
struct Edge {
    TensorSpec spec;
    std::string tensor;
    Dtype carrier = Dtype::float32;  // the dtype in the engine; values are cast where the model's is another
    bool on_host = false;            // whether the engine wants it on the host: its values are shapes

    bool is_cast() const { return carrier != spec.dtype; }
};

struct Range {
    Shape min, opt, max;  // of sizes, or of values
};

struct Profile {
    std::map<std::string, Range> shapes, values;  // by the model's name of an input
};

struct Sidecar {
    std::string file;
    std::vector<Edge> inputs, outputs;
    std::vector<Profile> profiles;
    std::string flavor, version, engine_sha256;
    std::string gpu, compute_capability;  // empty where they are not known, or any will do
    bool version_compatible = false, hardware_compatible = false, stripped = false, control_flow = true;
};

// The sidecar of an engine, nothing where it has none. Throws EngineMismatchError: it is damaged, or of another engine.
std::optional<Sidecar> read_sidecar(const std::string& engine, const std::string& engine_bytes);

}  // namespace onepass
