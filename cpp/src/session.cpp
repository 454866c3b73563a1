// A session: the model's format found out by content, inputs checked, outputs by name.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "backend.hpp"
#include "inputs.hpp"
#include "layout.hpp"
#include "names.hpp"
#include "targets.hpp"

namespace onepass {
namespace {

bool is_engine(const std::string& path) {
    std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
    if (!file) throw ModelNotFoundError("no model file at " + path);
    char mark[4] = {};
    file.read(mark, sizeof mark);
    const std::string_view found(mark, static_cast<std::size_t>(file.gcount()));
    if (found.empty()) throw ModelFormatError(path + " is empty; copy it again");
    // A sidecar says that it is an engine, whatever mark a later TensorRT may put at the beginning.
    const auto beside = [&](const char* ending) {
        return std::filesystem::exists(std::filesystem::u8path(path + ending));
    };
    return found == "ptrt" || found == "vtrt" || beside(".json") || beside(".json.new");
}

void check_devices(const Devices& devices) {
    std::vector<int> numbers = devices.numbers();
    if (devices.is_all()) return;
    std::sort(numbers.begin(), numbers.end());
    if (numbers.empty() || numbers[0] < 0)
        throw InputError("device must be the number of a GPU (>= 0), several numbers, or Devices::all()");
    if (const auto twice = std::adjacent_find(numbers.begin(), numbers.end()); twice != numbers.end())
        throw InputError("device contains GPU " + std::to_string(*twice) + " twice");
}

std::unique_ptr<Backend> opened(const std::string& path, const Options& options) {
    if (std::filesystem::is_directory(std::filesystem::u8path(path)))
        throw ModelFormatError(path + " is a folder; onepass::load opens ONNX models and TensorRT engines");
    check_devices(options.device);
    if (options.contexts < 1)
        throw InputError("contexts must be a whole number >= 1, got " + std::to_string(options.contexts));
    if (options.weight_streaming_bytes.value_or(0) < 0)
        throw InputError("weight_streaming_bytes must be a whole number >= 0, got " +
                         std::to_string(*options.weight_streaming_bytes));
    if (options.threads < 1)
        throw InputError("threads must be a whole number >= 1, got " + std::to_string(options.threads));
    return is_engine(path) ? open_engine(path, options) : open_onnx(path, options);
}

}  // namespace

std::shared_ptr<void> Backend::lend_inputs(const std::vector<Shape>& shapes, std::vector<std::size_t>& offsets) {
    Block block;
    for (std::size_t i = 0; i < shapes.size(); ++i) block.add(i, shapes[i], inputs_[i].dtype);
    std::shared_ptr<void> memory = plain_block(block.bytes);
    for (const Place& place : block.places) {
        offsets.push_back(place.offset);
        if (inputs_[place.edge].dtype != Dtype::string) continue;
        auto* texts = static_cast<std::string*>(at(memory.get(), place.offset));
        const std::size_t count = place.shape.count();
        std::uninitialized_value_construct_n(texts, count);
        memory = {memory.get(), [memory, texts, count](void*) { std::destroy_n(texts, count); }};
    }
    return memory;
}

EmptyInputs::operator Inputs() const {
    Inputs inputs;
    for (const auto& [name, array] : arrays_)
        inputs.emplace_back(name, Input(array.dtype(), array.data(), array.shape()));
    return inputs;
}

const Target& EmptyInputs::found(std::string_view name) const {
    std::vector<std::string> names;
    for (const auto& [own, array] : arrays_) {
        if (own == name) return array;
        names.push_back(own);
    }
    throw InputError(no_such_name("input", name, names));
}

void* EmptyInputs::checked(std::string_view name, Dtype wanted) const {
    const Target& array = found(name);
    if (array.dtype() != wanted)
        throw DtypeError("input " + in_quotes(name) + " is " + std::string(onepass::name(array.dtype())) + " " +
                         to_string(array.shape()) + ", not " + std::string(onepass::name(wanted)) +
                         "; onepass never converts dtypes silently");
    return array.data();
}

struct Session::Impl {
    std::unique_ptr<Backend> backend;
    std::vector<std::size_t> all;  // numbers of all outputs

    Impl(const std::string& path, const Options& options)
        : backend(opened(path, options)), all(backend->outputs().size()) {
        std::iota(all.begin(), all.end(), std::size_t{0});
    }

    Request request(const Inputs& inputs) const {
        Request request;
        request.feeds = checked_inputs(backend->inputs(), inputs);
        request.wanted = all;
        request.targets.resize(all.size());
        for (const Input* feed : request.feeds) request.stays = request.stays || feed->on_gpu();
        if (request.stays && !backend->takes_gpu_memory()) refuse_gpu(inputs);
        return request;
    }

    [[noreturn]] static void refuse_gpu(const Inputs& inputs) {
        for (const auto& [name, input] : inputs)
            if (input.on_gpu())
                throw InputError("input " + in_quotes(name) + " is on a GPU, but this model runs on the CPU; move it " +
                                 "to the host");
        throw InputError("the call has a stream, or GPU memory for outputs, but this model runs on the CPU; " +
                         std::string("omit them"));
    }
};

Session::Session(const std::string& path, const Options& options) : impl_(std::make_shared<Impl>(path, options)) {}

const std::vector<TensorSpec>& Session::inputs() const noexcept { return impl_->backend->inputs(); }
const std::vector<TensorSpec>& Session::outputs() const noexcept { return impl_->backend->outputs(); }
std::string Session::report() const { return impl_->backend->report(); }

Outputs Session::run(const Inputs& inputs) const { return Outputs(impl_->backend->run(impl_->request(inputs))); }

Outputs Session::run(const Inputs& inputs, const Names& wanted) const {
    Request request = impl_->request(inputs);
    request.wanted = checked_names(outputs(), wanted);
    request.targets.resize(request.wanted.size());
    return Outputs(impl_->backend->run(request));
}

Outputs Session::run(const Inputs& inputs, const Call& call) const {
    Request request = impl_->request(inputs);
    if (!call.outputs.empty()) request.wanted = checked_names(outputs(), call.outputs);
    request.stream = call.stream;
    request.stays = request.stays || call.stream.has_value();
    for (const auto& each : call.out) request.stays = request.stays || each.second.on_gpu();
    if (request.stays && !impl_->backend->takes_gpu_memory()) Impl::refuse_gpu(inputs);
    check_targets(outputs(), call.out, request);
    std::vector<Tensor> tensors = impl_->backend->run(request);
    fill_targets(request, tensors);
    return Outputs(std::move(tensors));
}

EmptyInputs Session::empty_inputs(const Shapes& shapes) const {
    const std::vector<Shape> full = full_shapes(inputs(), shapes);
    std::vector<std::size_t> offsets;
    std::shared_ptr<void> memory = impl_->backend->lend_inputs(full, offsets);
    std::vector<std::pair<std::string, Target>> arrays;
    for (std::size_t i = 0; i < full.size(); ++i)
        arrays.emplace_back(inputs()[i].name, Target(inputs()[i].dtype, at(memory.get(), offsets[i]), full[i]));
    return {std::move(memory), std::move(arrays)};
}

std::vector<double> Session::bare_runs(const Inputs& inputs, std::size_t times) const {
    return impl_->backend->bare_runs(impl_->request(inputs), times);
}

}  // namespace onepass
