#include "engine.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "../names.hpp"
#include "cuda.hpp"

namespace onepass::tensorrt {
namespace {

constexpr std::size_t kLines = 20;  // of the log that an exception tells

// TensorRT's numbers, not its enumerators: older headers lack the newer ones.
struct Type {
    int number;
    Dtype dtype;
};
constexpr Type kTypes[] = {{0, Dtype::float32},        {1, Dtype::float16},  {2, Dtype::int8},
                           {3, Dtype::int32},          {4, Dtype::boolean},  {5, Dtype::uint8},
                           {6, Dtype::float8_e4m3fn},  {7, Dtype::bfloat16}, {8, Dtype::int64},
                           {11, Dtype::float8_e8m0fnu}};

Dtype from_tensorrt(nvinfer1::DataType type, const std::string& tensor) {
    for (const Type& each : kTypes)
        if (each.number == static_cast<int>(type)) return each.dtype;
    throw UnsupportedModelError("tensor " + in_quotes(tensor) + " has the TensorRT type " +
                                std::to_string(static_cast<int>(type)) +
                                ", which is not supported on the host (4-bit types)");
}

std::vector<std::string> usual_names() {
    const std::string major = std::to_string(NV_TENSORRT_MAJOR);
#if defined(_WIN32)
    if (kIsRtx) return {"tensorrt_rtx_" + major + ".dll", "tensorrt_rtx.dll"};
    return {"nvinfer_" + major + ".dll", "nvinfer.dll", "nvinfer_lean_" + major + ".dll",
            "nvinfer_dispatch_" + major + ".dll"};
#else
    if (kIsRtx) return {"libtensorrt_rtx.so." + major, "libtensorrt_rtx.so"};
    return {"libnvinfer.so." + major, "libnvinfer_lean.so." + major, "libnvinfer_dispatch.so." + major};
#endif
}

std::string version_text(int number) {  // in thousands before version 10
    const int unit = number >= 10000 ? 10000 : 1000;
    return std::to_string(number / unit) + "." + std::to_string(number % unit / 100) + "." +
           std::to_string(number % 100);
}

std::string first_three(const std::string& version) {
    std::size_t end = 0;
    for (int parts = 0; parts < 3 && end != std::string::npos; ++parts) end = version.find('.', end + (parts ? 1 : 0));
    return version.substr(0, end);
}

std::vector<std::string> tensors_of(const std::vector<Edge>& edges) {
    std::vector<std::string> names;
    for (const Edge& each : edges) names.push_back(each.tensor);
    return names;
}

}  // namespace

void Book::log(Severity severity, const char* text) noexcept {
    try {
        if (sink_) sink_(static_cast<onepass::Severity>(static_cast<int>(severity)), text);
        if (severity > Severity::kWARNING) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.emplace_back(text);
        if (lines_.size() > kLines) lines_.erase(lines_.begin());
    } catch (...) {  // nothing may leave a callback of TensorRT
    }
}

std::string Book::taken() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += "\n" + line;
    lines_.clear();
    return all.empty() ? "\n(nothing)" : all;
}

Runtime::Runtime(const std::string& library)
    : library_("TensorRT " + std::to_string(NV_TENSORRT_MAJOR),
               library.empty() ? usual_names() : std::vector<std::string>{library}) {}

std::string Runtime::version() const { return version_text(library_.get<std::int32_t()>("getInferLibVersion")()); }

std::string Runtime::text() const {
    return std::filesystem::u8path(library_.name()).filename().u8string() + " " + version();
}

std::unique_ptr<nvinfer1::IRuntime> Runtime::start(Book& book) const {
    nvinfer1::ILogger& logger = book;
    const auto create = library_.get<void*(void*, std::int32_t)>("createInferRuntime_INTERNAL");
    return std::unique_ptr<nvinfer1::IRuntime>(static_cast<nvinfer1::IRuntime*>(create(&logger, NV_TENSORRT_VERSION)));
}

Engine::Engine(std::string file, Options given, int number)
    : path(std::move(file)), options(std::move(given)), device(number), runtime(options.runtime), book(options.log) {
    std::ifstream stream(std::filesystem::u8path(path), std::ios::binary);
    if (!stream) throw ModelNotFoundError("no engine file at " + path);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    const std::optional<Sidecar> sidecar = read_sidecar(path, bytes);
    find_gpu();
    if (sidecar) check_made_for(*sidecar);
    const OnDevice current(device);
    started_ = runtime.start(book);
    if (!started_)
        throw EngineVersionError("TensorRT failed to start: onepass was built with the headers of " +
                                 version_text(NV_TENSORRT_VERSION) + ", but the library is " + runtime.text() +
                                 ". TensorRT says:" + book.taken());
    if (sidecar && sidecar->version_compatible) allow_host_code(*started_);
    load_plugins();
    deserialize(bytes);
    stream_weights();
    read_edges();
    if (sidecar) match(*sidecar);
    profiles = sidecar ? sidecar->profiles : own_profiles();
    control_flow = sidecar ? sidecar->control_flow : names_control_flow();
}

// The driver is asked before TensorRT is: without a GPU some of TensorRT's libraries crash.
void Engine::find_gpu() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        static_cast<void>(cudaGetLastError());
        throw DeviceError(std::string("CUDA finds no GPU: ") + cudaGetErrorString(status));
    }
    if (device >= count)
        throw DeviceError("GPU " + std::to_string(device) + " not found; this process sees " + std::to_string(count) +
                          ", numbered from 0");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    gpu = properties.name;
    capability_ = std::to_string(properties.major) + "." + std::to_string(properties.minor);
}

void Engine::load_plugins() {
    for (const std::string& each : options.plugins) {
        const Library library("the plugin library " + each, {each});  // most creators register themselves
        if (void* start = library.find("initLibNvInferPlugins")) {
            if (!reinterpret_cast<bool (*)(void*, const char*)>(start)(static_cast<nvinfer1::ILogger*>(&book), ""))
                fail("cannot register the plugins of " + each);
        }
    }
}

// Rejects, based on the sidecar, engines that TensorRT would reject after reading them.
void Engine::check_made_for(const Sidecar& sidecar) const {
    const std::string made_by = first_three(sidecar.version), here = runtime.version();
    const bool same_major = made_by.substr(0, made_by.find('.')) == here.substr(0, here.find('.'));
    if ((sidecar.flavor == "tensorrt_rtx") != kIsRtx ||
        (made_by != here && !(sidecar.version_compatible && same_major)))
        throw EngineVersionError(
            path + " was built by " + sidecar.flavor + " " + sidecar.version + ", but " + runtime.text() +
            " is installed; engines run only in the version that built them. Build it again from its ONNX file, or "
            "install that version");
    if (!sidecar.compute_capability.empty() && sidecar.compute_capability != capability_ &&
        !sidecar.hardware_compatible)
        throw EngineDeviceError(path + " was built for compute capability " + sidecar.compute_capability + " (" +
                                (sidecar.gpu.empty() ? "unknown GPU" : sidecar.gpu) + "), but this " + gpu + " has " +
                                capability_ + "; build it again on this GPU");
    if (sidecar.stripped)
        throw EngineError(
            path +
            " was built without its weights (strip); put them in permanently with Python's onepass.engine.refit");
}

void Engine::deserialize(const std::string& bytes) {
    static_cast<void>(book.taken());
    raw_.reset(started_->deserializeCudaEngine(bytes.data(), bytes.size()));
    if (raw_) return;
    const std::string log = book.taken();
    std::string low = log;
    for (char& c : low)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const auto says = [&](std::initializer_list<const char*> words) {
        return std::any_of(words.begin(), words.end(),
                           [&](const char* word) { return low.find(word) != std::string::npos; });
    };
    if (says({"version tag does not match", "not compatible with this version", "library version", "stdversionread"}))
        throw EngineVersionError(
            path + " was built by another version of TensorRT than the installed " + runtime.text() +
            "; build it again from its ONNX file, or install the version that built it. TensorRT says:" + log);
    std::smatch plugin;
    if (std::regex_search(log, plugin,
                          std::regex("(?:not find|Cannot find) plugin:? ([^\\s,]+),? version:? ([^\\s,)]+)")))
        throw EngineError(
            path + " needs the plugin " + plugin[1].str() + ", version " + plugin[2].str() +
            ", which is not registered; add the library that contains it to Options::plugins. TensorRT says:" + log);
    if (says({"incompatible device", "compute capability", "different device", "platform"}))
        throw EngineDeviceError(path + " was built for another GPU than this " + gpu + " (compute capability " +
                                capability_ + "); build it again on this GPU. TensorRT says:" + log);
    throw ModelFormatError(runtime.text() + " cannot read " + path +
                           ": the engine is damaged, truncated, or not for this TensorRT. " +
                           "Copy it or build it again. TensorRT says:" + log);
}

void Engine::stream_weights() {
    if (!options.weight_streaming_bytes) return;
    const std::int64_t bytes = *options.weight_streaming_bytes;
    static_cast<void>(book.taken());
    const std::optional<bool> taken = set_streaming_budget(*raw_, bytes);
    if (!taken)
        throw UnsupportedModelError(runtime.text() + " does not support weight streaming; omit weight_streaming_bytes");
    if (!*taken)
        fail("cannot stream the weights within " + std::to_string(bytes) +
             " bytes; the engine must be built with weight streaming");
    streams_weights = true;
}

void Engine::read_edges() {
    for (std::int32_t i = 0; i < raw_->getNbIOTensors(); ++i) {
        const std::string tensor = raw_->getIOTensorName(i);
        if (writes_over_input(*raw_, tensor.c_str()))
            throw UnsupportedModelError(
                path + " writes its output " + in_quotes(tensor) +
                " over an input, which onepass does not support, because inputs " +
                "belong to the caller. Build the engine without it (a KV-cache update, for example)");
        const std::string layout = raw_->getTensorFormatDesc(tensor.c_str());
        if (layout.find("(k") != std::string::npos && layout.find("(kLINEAR)") == std::string::npos)
            throw UnsupportedModelError(
                path + " has tensor " + in_quotes(tensor) + " in the layout " + layout +
                "; onepass supports only linear " +
                "layouts. Build the engine without a format for it (trtexec's inputIOFormats, outputIOFormats: chw)");
        Edge edge;
        edge.tensor = edge.spec.name = tensor;
        edge.carrier = edge.spec.dtype = from_tensorrt(raw_->getTensorDataType(tensor.c_str()), tensor);
        edge.spec.shape = from_dims(raw_->getTensorShape(tensor.c_str()));
        edge.on_host = raw_->getTensorLocation(tensor.c_str()) == nvinfer1::TensorLocation::kHOST;
        (raw_->getTensorIOMode(tensor.c_str()) == nvinfer1::TensorIOMode::kINPUT ? inputs : outputs)
            .push_back(std::move(edge));
    }
}

// Puts the model's names, order and dtypes in place of the engine's.
void Engine::match(const Sidecar& sidecar) {
    const auto matched = [&](const char* kind, std::vector<Edge> told, const std::vector<Edge>& own) {
        std::vector<std::string> here = tensors_of(own), there = tensors_of(told);
        const std::string both =
            path + " has the " + kind + "s " + listed(here) + ", but its sidecar lists " + listed(there);
        std::sort(here.begin(), here.end());
        std::sort(there.begin(), there.end());
        if (here != there) throw EngineMismatchError(both + "; the two files do not match");
        for (Edge& edge : told) {
            const Edge& found =
                *std::find_if(own.begin(), own.end(), [&](const Edge& each) { return each.tensor == edge.tensor; });
            if (found.carrier != edge.carrier)
                throw EngineMismatchError(
                    path + ": " + kind + " " + in_quotes(edge.tensor) + " is " + std::string(name(found.carrier)) +
                    ", but " + std::string(name(edge.carrier)) + " in its sidecar; the two files do not match");
            edge.on_host = found.on_host;
        }
        return told;
    };
    check_sizes(sidecar);
    inputs = matched("input", sidecar.inputs, inputs);
    outputs = matched("output", sidecar.outputs, outputs);
}

void Engine::check_sizes(const Sidecar& sidecar) const {
    for (const Edge& told : sidecar.inputs) {
        const auto found =
            std::find_if(inputs.begin(), inputs.end(), [&](const Edge& each) { return each.tensor == told.tensor; });
        if (found == inputs.end()) continue;  // `match` says so
        const Shape &own = found->spec.shape, &shape = told.spec.shape;
        bool same = !told.spec.has_rank || own.rank() == shape.rank();
        for (std::size_t axis = 0; same && told.spec.has_rank && axis < own.rank(); ++axis)
            same = own[axis] < 0 || shape[axis] < 0 || own[axis] == shape[axis];
        if (!same)
            throw EngineMismatchError(path + ": input " + in_quotes(told.tensor) + " is " + to_string(own) + ", but " +
                                      to_string(told.spec) + " in its sidecar; the two files do not match");
        if (own.is_known() || found->on_host) continue;
        const auto bound = [&](std::size_t profile, nvinfer1::OptProfileSelector which) {
            return from_dims(raw_->getProfileShape(told.tensor.c_str(), static_cast<std::int32_t>(profile), which));
        };
        for (std::size_t i = 0; i < sidecar.profiles.size(); ++i) {
            const auto range = sidecar.profiles[i].shapes.find(told.spec.name);
            if (range == sidecar.profiles[i].shapes.end() ||
                bound(i, nvinfer1::OptProfileSelector::kMIN) != range->second.min ||
                bound(i, nvinfer1::OptProfileSelector::kMAX) != range->second.max)
                throw EngineMismatchError(path + ": input " + in_quotes(told.tensor) +
                                          " was built for other shapes than its sidecar has (profile " +
                                          std::to_string(i) + "); the two files do not match");
        }
    }
}

// Ranges of values are left to TensorRT to check.
std::vector<Profile> Engine::own_profiles() const {
    std::vector<Profile> found;
    for (std::int32_t i = 0; i < raw_->getNbOptimizationProfiles(); ++i) {
        Profile profile;
        const auto bound = [&](const Edge& edge, nvinfer1::OptProfileSelector which) {
            return from_dims(raw_->getProfileShape(edge.tensor.c_str(), i, which));
        };
        using Which = nvinfer1::OptProfileSelector;
        for (const Edge& edge : inputs)
            if (!edge.on_host)
                profile.shapes[edge.spec.name] = {bound(edge, Which::kMIN), bound(edge, Which::kOPT),
                                                  bound(edge, Which::kMAX)};
        found.push_back(std::move(profile));
    }
    return found;
}

// Whether the layers of an engine without a sidecar are called as TensorRT calls branches and loops.
bool Engine::names_control_flow() const {
    const std::unique_ptr<nvinfer1::IEngineInspector> inspector(raw_->createEngineInspector());
    const char* layers =
        inspector ? inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kONELINE) : nullptr;
    const std::string text = layers ? layers : "";
    for (const char* word : {"_OutputLayer", "[Loop", "[Condition", "[Recurrence", "[TripLimit", "[Iterator"})
        if (text.find(word) != std::string::npos) return true;
    return false;
}

std::unique_ptr<nvinfer1::IExecutionContext> Engine::new_context(void* scratch) {
    static_cast<void>(book.taken());
    std::unique_ptr<nvinfer1::IExecutionContext> context(bare_context(*raw_));
    if (!context) fail("cannot create an execution context");
    set_scratch(*context, scratch, scratch_size());
    return context;
}

void Engine::fail(const std::string& what) {
    throw BackendError("TensorRT " + what + " (" + path + "):" + book.taken());
}

}  // namespace onepass::tensorrt
