#include "pass.hpp"

#include <chrono>
#include <cstring>

#include "../cast.hpp"
#include "../names.hpp"

namespace onepass::tensorrt {
namespace {

constexpr std::size_t kMostRecordings = 32;

}  // namespace

Pass::Pass(Engine& engine, const LentInputs& lent, cudaStream_t stream, int profile, const Feeds& feeds)
    : engine_(engine), lent_(lent), stream_(stream), profile_(profile) {
    for (std::size_t i = 0; i < feeds.size(); ++i) {
        const Edge& edge = engine.inputs[i];
        shapes_.push_back(feeds[i]->shape());
        if (!edge.on_host) {
            in_.add(i, shapes_[i], edge.carrier);
            continue;
        }
        OnHost& kept = host_inputs_[i];
        kept = {shapes_[i], std::vector<std::byte>(std::max<std::size_t>(bytes_of(shapes_[i], edge.carrier), 8))};
        fill(kept.bytes.data(), edge, *feeds[i]);
    }
    in_device_ = device_block(in_.bytes);
    in_host_ = host_block(in_.bytes);
}

void Pass::attach(Context context) {
    context_ = std::move(context);
    try {
        set_up();
    } catch (...) {
        context_.reset();  // half set up, it must not run
        throw;
    }
}

void Pass::set_up() {
    if (context_->getOptimizationProfile() != profile_ && !context_->setOptimizationProfileAsync(profile_, stream_))
        engine_.fail("cannot set profile " + std::to_string(profile_) + " of a context");
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
        const Edge& edge = engine_.inputs[i];
        if (edge.on_host)
            bind(edge.tensor, host_inputs_.at(i).bytes.data());
        else if (!context_->setInputShape(edge.tensor.c_str(), to_dims(shapes_[i])))
            throw InputError("TensorRT rejects shape " + to_string(shapes_[i]) + " for " + in_quotes(edge.spec.name) +
                             ":" + engine_.book.taken());
    }
    const char* missing = nullptr;
    if (context_->inferShapes(1, &missing) != 0)
        throw InputError("TensorRT cannot infer the shapes of the outputs" +
                         (missing ? "; missing: " + in_quotes(missing) : std::string()) + ":" + engine_.book.taken());
    if (!slots_) lay_out();
    for (const Place& place : in_.places) bind(engine_.inputs[place.edge].tensor, at(in_device_.get(), place.offset));
    for (const Place& place : out_.places)
        bind(engine_.outputs[place.edge].tensor, at(out_device_.get(), place.offset));
    for (auto& [edge, kept] : host_outputs_) bind(engine_.outputs[edge].tensor, kept.bytes.data());
    for (auto& [edge, allocator] : late_)
        if (!context_->setOutputAllocator(engine_.outputs[edge].tensor.c_str(), &allocator))
            engine_.fail("rejects an allocator for " + in_quotes(engine_.outputs[edge].tensor));
    warm_ = false;  // TensorRT finishes setting up in the first pass, which therefore cannot be recorded
}

Pass::Context Pass::detach() {
    recordings_.clear();
    return std::move(context_);
}

std::vector<Tensor> Pass::run(const Request& request) {
    const void* source = filled(request.feeds);
    const auto [slot, lent] = results();
    launch({source, slot.get()});
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    std::vector<Tensor> tensors;
    for (const std::size_t edge : request.wanted) {
        if (const auto found = host_outputs_.find(edge); found != host_outputs_.end()) {
            tensors.push_back(copied(edge, found->second.shape, found->second.bytes.data()));
        } else if (const Place* place = out_.find(edge)) {
            const void* data = at(slot.get(), place->offset);
            tensors.push_back(lent ? made(edge, place->shape, slot, data) : copied(edge, place->shape, data));
        } else {
            tensors.push_back(late(edge));
        }
    }
    return tensors;
}

std::vector<double> Pass::bare_runs(std::size_t times) {
    const auto [slot, lent] = results();
    const Ends ends(in_host_.get(), slot.get());
    std::vector<double> microseconds;
    if (!is_recorded(ends)) return microseconds;
    for (std::size_t i = 0; i < times; ++i) {
        using Clock = std::chrono::steady_clock;
        const auto before = Clock::now();
        check(cudaGraphLaunch(recordings_.at(ends).get(), stream_), "cudaGraphLaunch");
        check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
        microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
    }
    return microseconds;
}

// Memory for the results of a call, and whether they may stay in it; else they go to ordinary memory, since little is
// page-locked.
std::pair<std::shared_ptr<void>, bool> Pass::results() {
    if (std::shared_ptr<void> slot = slots_->take()) return {std::move(slot), true};
    if (!spare_) spare_ = host_block(slots_->bytes());
    return {std::shared_ptr<void>(spare_.get(), [](void*) {}), false};
}

std::string Pass::report() const {
    std::vector<std::string> shapes;
    for (std::size_t i = 0; i < shapes_.size(); ++i)
        shapes.push_back(engine_.inputs[i].spec.name + " " + to_string(shapes_[i]));
    const std::string how = !recordings_.empty() ? "recorded" : eager_.empty() ? "queued" : "queued: " + eager_;
    return listed(shapes) + ": profile " + std::to_string(profile_) + ", " + how;
}

void Pass::bind(const std::string& tensor, void* address) {
    if (!context_->setTensorAddress(tensor.c_str(), address))
        engine_.fail("rejects the address of " + in_quotes(tensor));
}

// Where the inputs of a call lie as the GPU fetches them: where they were filled in, or where they are copied to.
const void* Pass::filled(const Feeds& feeds) {
    if (in_.places.empty()) return in_host_.get();
    const auto* base = static_cast<const std::byte*>(feeds[in_.places[0].edge]->data());
    const auto lies_there = [&](const Place& place) {
        return !engine_.inputs[place.edge].is_cast() && feeds[place.edge]->data() == base + place.offset;
    };
    if (std::all_of(in_.places.begin(), in_.places.end(), lies_there) && lent_.has(base, in_.bytes)) return base;
    for (const Place& place : in_.places)
        fill(at(in_host_.get(), place.offset), engine_.inputs[place.edge], *feeds[place.edge]);
    return in_host_.get();
}

void Pass::fill(void* target, const Edge& edge, const Input& feed) const {
    const std::size_t count = feed.shape().count();
    if (count == 0) return;
    if (!edge.is_cast())
        std::memcpy(target, feed.data(), count * size_of(edge.carrier));
    else if (!cast(edge.carrier, target, feed.dtype(), feed.data(), count))
        throw InputError("input " + in_quotes(edge.spec.name) + ": the engine uses " + std::string(name(edge.carrier)) +
                         " for it, which cannot hold all of the given numbers");
}

void Pass::lay_out() {
    Block out;
    for (std::size_t i = 0; i < engine_.outputs.size(); ++i) {
        const Edge& edge = engine_.outputs[i];
        const Shape shape = from_dims(context_->getTensorShape(edge.tensor.c_str()));
        if (!shape.is_known())
            late_[i];
        else if (edge.on_host)
            host_outputs_[i] = {shape, std::vector<std::byte>(std::max<std::size_t>(bytes_of(shape, edge.carrier), 8))};
        else
            out.add(i, shape, edge.carrier);
    }
    out_device_ = device_block(out.bytes);
    if (!engine_.options.graphs)
        eager_ = "graphs are off";
    else if (engine_.streams_weights)
        eager_ = "the weights are streamed";
    else if (engine_.control_flow)
        eager_ = "it has branches or loops";
    else if (!late_.empty())
        eager_ = "a size depends on the data";
    else if (!host_outputs_.empty())
        eager_ = "an output is in host memory";
    slots_ = std::make_shared<Slots>(out.bytes, kept_host_block);
    device_slots_ = std::make_shared<Slots>(out.bytes, kept_device_block);
    out_ = std::move(out);
}

void Pass::copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "cudaMemcpyAsync");
}

void Pass::queue(const Ends& ends) {
    if (ends.first) copy(in_device_.get(), ends.first, in_.bytes, cudaMemcpyHostToDevice);
    for (auto& each : late_) each.second.forget();
    if (!context_->enqueueV3(stream_)) engine_.fail("cannot run the pass");
    if (ends.second) copy(ends.second, out_device_.get(), out_.bytes, cudaMemcpyDeviceToHost);
}

void Pass::launch(const Ends& ends) {
    if (is_recorded(ends)) {
        check(cudaGraphLaunch(recordings_.at(ends).get(), stream_), "cudaGraphLaunch");
        return;
    }
    queue(ends);
    warm_ = true;
}

// Whether there is a recording, made now if it can be.
bool Pass::is_recorded(const Ends& ends) {
    return recordings_.count(ends) > 0 || (warm_ && eager_.empty() && record(ends));
}

// Records the pass with its copies as one graph; where that fails, `eager_` says why, and the pass is queued ever
// after.
bool Pass::record(const Ends& ends) {
    if (!may_record(*context_, stream_)) return eager_ = "TensorRT says that it cannot be recorded", false;
    const auto refused = [&](cudaError_t status) {
        static_cast<void>(cudaGetLastError());
        if (eager_.empty()) eager_ = std::string("CUDA does not record it: ") + cudaGetErrorString(status);
        return false;
    };
    if (const cudaError_t status = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
        status != cudaSuccess)
        return refused(status);
    try {
        queue(ends);
    } catch (const Error& error) { eager_ = error.what(); }
    cudaGraph_t raw = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream_, &raw);
    const Graph graph(raw);
    if (!eager_.empty() || ended != cudaSuccess) return refused(ended);
    cudaGraphExec_t recording = nullptr;
    if (const cudaError_t status = cudaGraphInstantiateWithFlags(&recording, raw, 0); status != cudaSuccess)
        return refused(status);
    if (recordings_.size() >= kMostRecordings) {  // the caller fills inputs in ever other places
        check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
        recordings_.clear();
    }
    recordings_[ends] = Recording(recording);
    return true;
}

Tensor Pass::made(std::size_t edge, const Shape& shape, std::shared_ptr<const void> owner, const void* data) const {
    const Edge& from = engine_.outputs[edge];
    if (from.is_cast()) {
        auto wide = plain_block(bytes_of(shape, from.spec.dtype));
        static_cast<void>(
            cast(from.spec.dtype, wide.get(), from.carrier, data, shape.count()));  // to a wider type: all fit
        data = wide.get();
        owner = std::move(wide);
    }
    return {from.spec.name, from.spec.dtype, shape, std::move(owner), data};
}

Tensor Pass::copied(std::size_t edge, const Shape& shape, const void* from) const {
    const std::size_t bytes = bytes_of(shape, engine_.outputs[edge].carrier);
    auto own = plain_block(bytes);
    std::memcpy(own.get(), from, bytes);
    const void* data = own.get();
    return made(edge, shape, std::move(own), data);
}

// The shape of an output whose size the pass has found out.
Shape Pass::told(std::size_t edge) const {
    const Allocator& allocator = late_.at(edge);
    const std::string& tensor = engine_.outputs[edge].tensor;
    const Shape shape = allocator.was_told() ? allocator.shape() : from_dims(context_->getTensorShape(tensor.c_str()));
    if (!shape.is_known())
        engine_.fail("computed " + in_quotes(tensor) + " without its complete shape, only " + to_string(shape));
    return shape;
}

Tensor Pass::late(std::size_t edge) {
    const Shape shape = told(edge);
    const std::size_t bytes = bytes_of(shape, engine_.outputs[edge].carrier);
    auto own = plain_block(bytes);
    copy(own.get(), late_.at(edge).data(), bytes, cudaMemcpyDeviceToHost);
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    const void* data = own.get();
    return made(edge, shape, std::move(own), data);
}

}  // namespace onepass::tensorrt
