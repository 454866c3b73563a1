// A pass whose outputs stay on the GPU.
#include "../names.hpp"
#include "../targets.hpp"
#include "pass.hpp"

namespace onepass::tensorrt {
namespace {

std::string held(const Edge& edge) { return edge.is_cast() ? "as " + std::string(name(edge.carrier)) : "on the host"; }

}  // namespace

void Pass::check_feeds(const Engine& engine, const Feeds& feeds) {
    for (std::size_t i = 0; i < feeds.size(); ++i) {
        const Edge& edge = engine.inputs[i];
        if (feeds[i]->on_gpu() && (edge.on_host || edge.is_cast()))
            throw InputError("input " + in_quotes(edge.spec.name) + ": the engine needs it " + held(edge) +
                             "; pass it on the host");
    }
}

// Refuses outputs that the engine holds in another dtype than the model says, or on the host.
void Pass::check_outputs(const Request& request) const {
    for (std::size_t i = 0; i < request.wanted.size(); ++i) {
        const std::size_t number = request.wanted[i];
        const Edge& edge = engine_.outputs[number];
        if (host_outputs_.count(number) || edge.is_cast())
            throw InputError("output " + in_quotes(edge.spec.name) + ": the engine returns it " + held(edge) +
                             ", so it cannot stay on the GPU; request only other outputs, or pass the inputs on the "
                             "host, without a stream");
        if (const Place* place = out_.find(number); place && request.targets[i])
            check_target_shape(edge.spec.name, *request.targets[i], place->shape);
    }
}

std::vector<Tensor> Pass::run_on_gpu(const Request& request, cudaEvent_t event) {
    check_outputs(request);
    const auto* theirs = request.stream ? &*request.stream : nullptr;
    for (const Place& place : in_.places)
        if (const Input& feed = *request.feeds[place.edge]; !feed.on_gpu())
            fill(at(in_host_.get(), place.offset), engine_.inputs[place.edge], feed);
    if (theirs) let_follow(stream_, static_cast<cudaStream_t>(*theirs), event);
    copy_in(request.feeds);
    launch({nullptr, nullptr});
    const std::shared_ptr<void> slot = copy_out(request);
    if (!late_.empty()) check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < request.wanted.size(); ++i) {
        const std::size_t edge = request.wanted[i];
        const Target* target = request.targets[i];
        const TensorSpec& spec = engine_.outputs[edge].spec;
        if (const Place* place = out_.find(edge); !place)
            tensors.push_back(late_on_gpu(edge, target));
        else if (target)
            tensors.emplace_back(spec.name, spec.dtype, place->shape, nullptr, target->data(), engine_.device);
        else
            tensors.emplace_back(spec.name, spec.dtype, place->shape, slot, at(slot.get(), place->offset),
                                 engine_.device);
    }
    if (theirs)
        let_follow(static_cast<cudaStream_t>(*theirs), stream_, event);
    else
        check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    return tensors;
}

void Pass::copy_in(const Feeds& feeds) {
    for (const Place& place : in_.places) {
        const Input& feed = *feeds[place.edge];
        if (feed.on_gpu())
            copy(at(in_device_.get(), place.offset), feed.data(), place.bytes, cudaMemcpyDeviceToDevice);
        else
            copy(at(in_device_.get(), place.offset), at(in_host_.get(), place.offset), place.bytes,
                 cudaMemcpyHostToDevice);
    }
}

// Copies the outputs that are wanted to where the caller wants them, or else to memory that is returned.
std::shared_ptr<void> Pass::copy_out(const Request& request) {
    std::shared_ptr<void> slot = device_slots_->take();
    if (!slot) slot = kept_device_block(out_.bytes);
    const auto is_target = [](const Target* each) { return each != nullptr; };
    if (request.wanted.size() == engine_.outputs.size() &&
        std::none_of(request.targets.begin(), request.targets.end(), is_target)) {
        copy(slot.get(), out_device_.get(), out_.bytes, cudaMemcpyDeviceToDevice);
        return slot;
    }
    for (std::size_t i = 0; i < request.wanted.size(); ++i)
        if (const Place* place = out_.find(request.wanted[i]))
            copy(request.targets[i] ? request.targets[i]->data() : at(slot.get(), place->offset),
                 at(out_device_.get(), place->offset), place->bytes, cudaMemcpyDeviceToDevice);
    return slot;
}

Tensor Pass::late_on_gpu(std::size_t edge, const Target* target) {
    const Shape shape = told(edge);
    const TensorSpec& spec = engine_.outputs[edge].spec;
    if (target) check_target_shape(spec.name, *target, shape);
    const std::size_t bytes = bytes_of(shape, spec.dtype);
    std::shared_ptr<void> own = target ? nullptr : kept_device_block(bytes);
    void* data = target ? target->data() : own.get();
    copy(data, late_.at(edge).data(), bytes, cudaMemcpyDeviceToDevice);
    return {spec.name, spec.dtype, shape, std::move(own), data, engine_.device};
}

}  // namespace onepass::tensorrt
