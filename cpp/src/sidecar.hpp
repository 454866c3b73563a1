// An engine's sidecar, <engine>.json. Its format is described in docs/sidecar.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "onepass/onepass.hpp"

namespace onepass {

// One input or output of the model, and the tensor of the engine that holds its values.
struct Edge {
    TensorSpec spec;
    std::string tensor;
    Dtype carrier = Dtype::float32;  // dtype in the engine; if the model's dtype differs, values are cast
    bool on_host = false;            // whether the engine needs it on the host, because its values are shapes

    bool is_cast() const { return carrier != spec.dtype; }
};

struct Range {
    Shape min, opt, max;  // sizes or values
};

struct Profile {
    std::map<std::string, Range> shapes, values;  // by the input's name in the model
};

struct Sidecar {
    std::string file;
    std::vector<Edge> inputs, outputs;
    std::vector<Profile> profiles;
    std::string flavor, version, engine_sha256;
    std::string gpu, compute_capability;  // empty if unknown, or if any GPU is supported
    bool version_compatible = false, hardware_compatible = false, stripped = false, control_flow = true;
};

// Reads an engine's sidecar; returns nothing if there is none. Throws EngineMismatchError if it is damaged or belongs
// to another engine.
std::optional<Sidecar> read_sidecar(const std::string& engine, const std::string& engine_bytes);

}  // namespace onepass
