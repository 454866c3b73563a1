#include "sidecar.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "names.hpp"
#include "schema.hpp"
#include "sha256.hpp"

namespace onepass {
namespace {

namespace fs = std::filesystem;

constexpr int kMajor = 1, kDigestSince = 2;
constexpr const char* kRemedy = "build the engine again, or delete the file to load the engine as it is";

std::string start_of(const std::string& digest) { return digest.substr(0, 12) + "…"; }

Dtype dtype_named(const std::string& wanted, const std::string& file) {
    for (int k = 0; k < static_cast<int>(Dtype::string); ++k)
        if (name(static_cast<Dtype>(k)) == wanted) return static_cast<Dtype>(k);
    throw UnsupportedModelError(file + " has the dtype " + wanted + ", which onepass does not support in C++");
}

Shape numbers(const Json& list) {
    std::vector<std::int64_t> sizes;
    for (const Json& each : list.list) sizes.push_back(each.is_whole() ? each.whole() : -1);
    return Shape(std::move(sizes));
}

std::vector<Edge> edges(const Json& list, const std::string& file) {
    std::vector<Edge> found;
    for (const Json& each : list.list) {
        Edge edge;
        edge.spec.name = each["name"].text;
        edge.spec.dtype = dtype_named(each["dtype"].text, file);
        edge.spec.has_rank = each["shape"].kind == Json::Kind::list;
        edge.spec.shape = numbers(each["shape"]);
        for (const Json& dim : each["shape"].list)
            edge.spec.dim_names.push_back(dim.kind == Json::Kind::text ? dim.text : "");
        edge.tensor = each["tensor"].text;
        edge.carrier = dtype_named(each["carrier"].text, file);
        found.push_back(std::move(edge));
    }
    return found;
}

std::map<std::string, Range> ranges(const Json& object, const std::string& file) {
    std::map<std::string, Range> found;
    for (const auto& [name, each] : object.object) {
        const Range range{numbers(each.list[0]), numbers(each.list[1]), numbers(each.list[2])};
        bool sound = range.min.rank() == range.opt.rank() && range.opt.rank() == range.max.rank();
        for (std::size_t axis = 0; sound && axis < range.min.rank(); ++axis)
            sound = range.min[axis] <= range.opt[axis] && range.opt[axis] <= range.max[axis];
        if (!sound)
            throw EngineMismatchError(file + " contradicts itself: shapes of " + in_quotes(name) +
                                      ": expected min <= opt <= max in every dimension; " + kRemedy);
        found.emplace(name, range);
    }
    return found;
}

void check_digest(const Json& data, const Json& known, const std::string& file) {
    const Json& recorded = known["sidecar_sha256"];
    if (recorded.kind == Json::Kind::null && known["onepass_engine_minor"].whole() < kDigestSince) return;
    Json content = data;
    content.object.erase("sidecar_sha256");
    const std::string digest = sha256(compact_json(content));
    if (recorded.text != digest)
        throw EngineMismatchError(file + " is damaged, or was changed by hand: the SHA-256 of its content is " +
                                  start_of(digest) + ", expected " +
                                  (recorded.text.empty() ? "None" : start_of(recorded.text)) + "; " + kRemedy);
}

Sidecar read(const fs::path& path) {
    const std::string file = path.u8string();
    std::ifstream stream(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    Json data, known;
    try {
        data = parsed_json(bytes);
    } catch (const JsonError& error) {
        throw EngineMismatchError(file + " is not valid JSON (" + error.what() + "); " + kRemedy);
    }
    try {
        if (const Json* major = data.find("onepass_engine"); major && major->is_whole() && major->whole() > kMajor)
            throw EngineMismatchError(file + " has format version " + major->text +
                                      ", but this onepass supports version " + std::to_string(kMajor) +
                                      "; update onepass, or build the engine again");
        known = completed(data, sidecar_schema());
        check_digest(data, known, file);
        Sidecar sidecar;
        sidecar.file = file;
        sidecar.inputs = edges(known["inputs"], file);
        sidecar.outputs = edges(known["outputs"], file);
        for (const Json& each : known["profiles"].list)
            sidecar.profiles.push_back({ranges(each["shapes"], file), ranges(each["values"], file)});
        sidecar.flavor = known["flavor"].text;
        sidecar.version = known["version"].text;
        sidecar.engine_sha256 = known["engine_sha256"].text;
        sidecar.gpu = known["gpu"].text;
        sidecar.compute_capability = known["compute_capability"].text;
        sidecar.control_flow = known["control_flow"].is_true();
        const auto has_option = [&](const char* name) {
            const Json* found = known["options"].find(name);
            return found && found->is_true();
        };
        sidecar.version_compatible = has_option("version_compatible");
        sidecar.hardware_compatible = has_option("hardware_compatible");
        sidecar.stripped = has_option("strip");
        return sidecar;
    } catch (const JsonError& error) {
        throw EngineMismatchError(file + " is not a valid engine sidecar: " + error.what() + "; " + kRemedy);
    } catch (const std::out_of_range&) {
        throw EngineMismatchError(file + " is not a valid engine sidecar: a number is too large; " + kRemedy);
    }
}

// The files that may be the sidecar: beside the engine, waiting for it, and where the engine is a link, by its file.
std::vector<fs::path> candidates(const fs::path& engine) {
    std::vector<fs::path> found;
    std::error_code ignored;
    const fs::path real = fs::weakly_canonical(engine, ignored);
    const bool linked = !real.empty() && fs::is_symlink(engine, ignored);
    for (const fs::path& each : linked ? std::vector<fs::path>{engine, real} : std::vector<fs::path>{engine})
        for (const char* ending : {".json", ".json.new"}) {
            fs::path file = each;
            file += ending;
            if (fs::is_regular_file(file, ignored)) found.push_back(file);
        }
    return found;
}

}  // namespace

std::optional<Sidecar> read_sidecar(const std::string& engine, const std::string& engine_bytes) {
    const std::vector<fs::path> files = candidates(fs::u8path(engine));
    if (files.empty()) return std::nullopt;
    const std::string digest = sha256(engine_bytes);
    if (files.size() > 1)
        for (const fs::path& each : files) try {
                Sidecar sidecar = read(each);
                if (sidecar.engine_sha256 == digest) return sidecar;
            } catch (const EngineMismatchError&) {  // the other one may be the engine's
            }
    Sidecar sidecar = read(files[0]);
    if (sidecar.engine_sha256 != digest)
        throw EngineMismatchError(
            engine + " is not the engine that its sidecar describes: expected SHA-256 " +
            start_of(sidecar.engine_sha256) + ", got " + start_of(digest) +
            ". The engine was damaged, or replaced by another tool: build it again, or delete the sidecar to load the "
            "engine as it is");
    return sidecar;
}

}  // namespace onepass
