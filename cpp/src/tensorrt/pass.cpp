#include "pass.hpp"

#include <cstring>

#include "../cast.hpp"
#include "../names.hpp"

namespace onepass::tensorrt {
namespace {

constexpr std::size_t kAlignment = 256;

void* at(void* base, std::size_t offset) { return static_cast<char*>(base) + offset; }

std::size_t bytes_of(const Shape& shape, Dtype dtype) { return shape.count() * size_of(dtype); }

std::shared_ptr<void> plain_block(std::size_t bytes) {
    return {::operator new(std::max<std::size_t>(bytes, 1)), [](void* block) { ::operator delete(block); }};
}

}  // namespace

void Pass::Block::add(std::size_t edge, const Shape& shape, Dtype dtype) {
    const std::size_t offset = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    places.push_back({edge, offset, bytes_of(shape, dtype), shape});
    bytes = offset + std::max<std::size_t>(places.back().bytes, 1);  // an empty one has an address of its own, too
}

Pass::Pass(Engine& engine, cudaStream_t stream, int profile, const Feeds& feeds)
    : engine_(engine), stream_(stream), profile_(profile) {
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
        engine_.fail("does not let a context have profile " + std::to_string(profile_));
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
        const Edge& edge = engine_.inputs[i];
        if (edge.on_host)
            bind(edge.tensor, host_inputs_.at(i).bytes.data());
        else if (!context_->setInputShape(edge.tensor.c_str(), to_dims(shapes_[i])))
            throw InputError("TensorRT does not take " + in_quotes(edge.spec.name) + " with the shape " +
                             to_string(shapes_[i]) + ":" + engine_.book.taken());
    }
    const char* missing = nullptr;
    if (context_->inferShapes(1, &missing) != 0)
        throw InputError("TensorRT cannot tell the shapes of the outputs" +
                         (missing ? "; it misses " + in_quotes(missing) : std::string()) + ":" + engine_.book.taken());
    if (!slots_) lay_out();
    for (const Place& place : in_.places) bind(engine_.inputs[place.edge].tensor, at(in_device_.get(), place.offset));
    for (const Place& place : out_.places)
        bind(engine_.outputs[place.edge].tensor, at(out_device_.get(), place.offset));
    for (auto& [edge, kept] : host_outputs_) bind(engine_.outputs[edge].tensor, kept.bytes.data());
    for (auto& [edge, allocator] : late_)
        if (!context_->setOutputAllocator(engine_.outputs[edge].tensor.c_str(), &allocator))
            engine_.fail("does not take an allocator for " + in_quotes(engine_.outputs[edge].tensor));
    warm_ = false;  // TensorRT finishes setting up in the first pass, which therefore cannot be recorded
}

Pass::Context Pass::detach() {
    recordings_.clear();
    return std::move(context_);
}

std::vector<Tensor> Pass::run(const Feeds& feeds, const std::vector<std::size_t>& wanted) {
    for (const Place& place : in_.places)
        fill(at(in_host_.get(), place.offset), engine_.inputs[place.edge], *feeds[place.edge]);
    std::shared_ptr<void> slot = slots_->take();
    const bool lent = slot != nullptr;
    if (!lent) {  // results go to ordinary memory then, since little is page-locked
        if (!spare_) spare_ = host_block(slots_->bytes());
        slot = std::shared_ptr<void>(spare_.get(), [](void*) {});
    }
    launch(slot.get());
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    std::vector<Tensor> tensors;
    for (const std::size_t edge : wanted) {
        if (const auto found = host_outputs_.find(edge); found != host_outputs_.end()) {
            tensors.push_back(copied(edge, found->second.shape, found->second.bytes.data()));
        } else if (const auto allocator = late_.find(edge); allocator != late_.end()) {
            tensors.push_back(late(edge, allocator->second));
        } else {
            const auto place = std::find_if(out_.places.begin(), out_.places.end(),
                                            [&](const Place& each) { return each.edge == edge; });
            const void* data = at(slot.get(), place->offset);
            tensors.push_back(lent ? made(edge, place->shape, slot, data) : copied(edge, place->shape, data));
        }
    }
    return tensors;
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
        engine_.fail("does not take an address for " + in_quotes(tensor));
}

void Pass::fill(void* target, const Edge& edge, const Input& feed) const {
    const std::size_t count = feed.shape().count();
    if (count == 0) return;
    if (!edge.is_cast())
        std::memcpy(target, feed.data(), count * size_of(edge.carrier));
    else if (!cast(edge.carrier, target, feed.dtype(), feed.data(), count))
        throw InputError("input " + in_quotes(edge.spec.name) + ": the engine holds it as " +
                         std::string(name(edge.carrier)) + ", which cannot hold all of the numbers given");
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
    else if (engine_.control_flow)
        eager_ = "it has branches or loops";
    else if (!late_.empty())
        eager_ = "a size depends on the data";
    else if (!host_outputs_.empty())
        eager_ = "an output lies on the host";
    slots_ = std::make_shared<Slots>(out.bytes);
    out_ = std::move(out);
}

void Pass::queue(void* target) {
    if (in_.bytes)
        check(cudaMemcpyAsync(in_device_.get(), in_host_.get(), in_.bytes, cudaMemcpyHostToDevice, stream_),
              "cudaMemcpyAsync");
    for (auto& each : late_) each.second.forget();
    if (!context_->enqueueV3(stream_)) engine_.fail("does not run the pass");
    if (out_.bytes)
        check(cudaMemcpyAsync(target, out_device_.get(), out_.bytes, cudaMemcpyDeviceToHost, stream_),
              "cudaMemcpyAsync");
}

void Pass::launch(void* target) {
    const auto found = recordings_.find(target);
    if (found != recordings_.end() || (warm_ && eager_.empty() && record(target))) {
        check(cudaGraphLaunch(recordings_.at(target).get(), stream_), "cudaGraphLaunch");
        return;
    }
    queue(target);
    warm_ = true;
}

// Records the pass with its copies as one graph; where that fails, `eager_` says why, and the pass is queued ever
// after.
bool Pass::record(void* target) {
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
        queue(target);
    } catch (const Error& error) { eager_ = error.what(); }
    cudaGraph_t raw = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream_, &raw);
    const Graph graph(raw);
    if (!eager_.empty() || ended != cudaSuccess) return refused(ended);
    cudaGraphExec_t recording = nullptr;
    if (const cudaError_t status = cudaGraphInstantiateWithFlags(&recording, raw, 0); status != cudaSuccess)
        return refused(status);
    recordings_[target] = Recording(recording);
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

// An output whose size the pass has found out.
Tensor Pass::late(std::size_t edge, const Allocator& allocator) {
    const Edge& from = engine_.outputs[edge];
    const Shape shape =
        allocator.was_told() ? allocator.shape() : from_dims(context_->getTensorShape(from.tensor.c_str()));
    if (!shape.is_known())
        engine_.fail("computed " + in_quotes(from.tensor) + " and does not tell its shape, only " + to_string(shape));
    const std::size_t bytes = bytes_of(shape, from.carrier);
    auto own = plain_block(bytes);
    if (bytes)
        check(cudaMemcpyAsync(own.get(), allocator.data(), bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    const void* data = own.get();
    return made(edge, shape, std::move(own), data);
}

}  // namespace onepass::tensorrt
