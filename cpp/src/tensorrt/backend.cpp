// TensorRT: runs an engine on NVIDIA GPUs. Calls of several threads run side by side, each in a lane of its own.
#include "../backend.hpp"

#include <condition_variable>

#include "../names.hpp"
#include "gpu.hpp"

namespace onepass {
namespace {

using tensorrt::Gpu;
using tensorrt::Lane;
using tensorrt::OnDevice;

std::vector<int> numbers_of(const Devices& devices) {
    if (!devices.is_all()) return devices.numbers();
    int count = 0;
    static_cast<void>(cudaGetDeviceCount(&count));
    std::vector<int> numbers{0};  // where there is none, the engine says so
    for (int number = 1; number < count; ++number) numbers.push_back(number);
    return numbers;
}

class TensorRt final : public Backend {
  public:
    TensorRt(const std::string& path, const Options& options) {
        for (const int number : numbers_of(options.device))
            gpus_.push_back(std::make_unique<Gpu>(path, options, number, lent_));
        for (const Edge& edge : gpus_[0]->engine.inputs) {
            inputs_.push_back(edge.spec);
            is_lendable_ = is_lendable_ && !edge.on_host && !edge.is_cast();
        }
        for (const Edge& edge : gpus_[0]->engine.outputs) outputs_.push_back(edge.spec);
    }

    std::vector<Tensor> run(const Request& request) override {
        const Held held(*this, home_of(request), request.stream);
        const OnDevice current(held.gpu->engine.device);
        try {
            return held.lane->run(request, held.gpu->shares);
        } catch (const BackendError& error) {
            if (gpus_.size() == 1) throw;
            if (held.gpu->memory().empty()) {
                const std::lock_guard<std::mutex> lock(mutex_);
                held.gpu->is_open = false;
            }
            throw BackendError(held.gpu->text() + ": " + error.what());
        }
    }

    std::vector<double> bare_runs(const Request& request, std::size_t times) override {
        const Held held(*this, home_of(request), std::nullopt);
        const OnDevice current(held.gpu->engine.device);
        return held.lane->bare_runs(request, held.gpu->shares, times);
    }

    std::string report() const override {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::string text = "TensorRT, " + gpus_[0]->engine.runtime.text();
        for (const auto& gpu : gpus_) text += "\n" + gpu->report();
        return text;
    }

    bool takes_gpu_memory() const override { return true; }

    std::shared_ptr<void> lend_inputs(const std::vector<Shape>& shapes, std::vector<std::size_t>& offsets) override {
        if (is_lendable_) {
            Block block;
            for (std::size_t i = 0; i < shapes.size(); ++i) block.add(i, shapes[i], inputs_[i].dtype);
            const OnDevice current(gpus_[0]->engine.device);
            if (auto memory = lent_.give(shapes, block.bytes)) {
                for (const Place& place : block.places) offsets.push_back(place.offset);
                return memory;
            }
        }
        return Backend::lend_inputs(shapes, offsets);
    }

  private:
    // A lane that is the caller's for one call.
    struct Held {
        Held(TensorRt& of, Gpu* home, const std::optional<void*>& stream) : owner(of) {
            std::unique_lock<std::mutex> lock(owner.mutex_);
            while (!lane) {
                owner.changed_.wait(lock, [&] { return (gpu = home ? home : owner.least_busy())->has_lane(); });
                lane = gpu->take(stream);
            }
        }
        ~Held() {
            {
                const std::lock_guard<std::mutex> lock(owner.mutex_);
                gpu->give_back(lane);
            }
            owner.changed_.notify_all();
        }
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;

        TensorRt& owner;
        Gpu* gpu = nullptr;
        Lane* lane = nullptr;
    };

    Gpu* least_busy() const {
        const auto busier = [](const auto& a, const auto& b) {
            const auto rank = [](const Gpu& gpu) { return std::tuple(!gpu.is_open, !gpu.has_lane(), gpu.busy()); };
            return rank(*a) < rank(*b);
        };
        return std::min_element(gpus_.begin(), gpus_.end(), busier)->get();
    }

    // The GPU that a call's memory lies on; null where all of it is the host's. Throws InputError where it lies on
    // several, on another than the engine, or elsewhere than the caller says.
    Gpu* home_of(const Request& request) const {
        const OnDevice current(gpus_[0]->engine.device);
        Gpu* home = nullptr;
        const auto look_at = [&](const std::string& what, const void* data, bool on_gpu) {
            const int number = number_of(what, data, on_gpu);
            if (number == Tensor::kHost) return;
            const auto found =
                std::find_if(gpus_.begin(), gpus_.end(), [&](const auto& gpu) { return gpu->engine.device == number; });
            if (found == gpus_.end())
                throw InputError(what + " is on GPU " + std::to_string(number) +
                                 ", but the model is not; move it, or open the model with this device");
            if (home && home != found->get())
                throw InputError(what + " is on GPU " + std::to_string(number) +
                                 ", but other memory of the call is on " + home->text() +
                                 "; a call runs on one GPU, so move them to one GPU");
            home = found->get();
        };
        for (std::size_t i = 0; i < request.feeds.size(); ++i)
            if (request.feeds[i]->data())
                look_at("input " + in_quotes(inputs_[i].name), request.feeds[i]->data(), request.feeds[i]->on_gpu());
        for (std::size_t i = 0; i < request.targets.size(); ++i)
            if (const Target* target = request.targets[i]; target && target->data())
                look_at("out " + in_quotes(outputs_[request.wanted[i]].name), target->data(), target->on_gpu());
        if (request.stays && !home) {
            if (gpus_.size() > 1)
                throw InputError("the model is on several GPUs, and the call has a stream, but no memory that tells " +
                                 std::string("which GPU it belongs to; pass an input on this GPU"));
            home = gpus_[0].get();
        }
        if (request.stream) check_stream(static_cast<cudaStream_t>(*request.stream), *home);
        return home;
    }

    static int number_of(const std::string& what, const void* data, bool on_gpu) {
        cudaPointerAttributes found{};
        tensorrt::check(cudaPointerGetAttributes(&found, data), "cudaPointerGetAttributes");
        const bool is_device = found.type == cudaMemoryTypeDevice;
        if (on_gpu && !is_device && found.type != cudaMemoryTypeManaged)
            throw InputError(what + ": the call says that it is on a GPU, but its address is in host memory");
        if (!on_gpu && is_device)
            throw InputError(what + " is on a GPU; use Input::gpu(address, shape), or Target::gpu");
        return on_gpu ? found.device : Tensor::kHost;
    }

    static void check_stream(cudaStream_t stream, const Gpu& gpu) {
        const OnDevice current(gpu.engine.device);
        cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
        if (cudaStreamIsCapturing(stream, &status) != cudaSuccess) static_cast<void>(cudaGetLastError());
        if (status != cudaStreamCaptureStatusNone)
            throw InputError(
                "the call's stream is being recorded (cudaStreamBeginCapture); a call cannot be part of a recording, " +
                std::string("so make it before or after"));
    }

    tensorrt::LentInputs lent_;  // outlives what reads it
    bool is_lendable_ = true;
    std::vector<std::unique_ptr<Gpu>> gpus_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
};

}  // namespace

std::unique_ptr<Backend> open_engine(const std::string& path, const Options& options) {
    return std::make_unique<TensorRt>(path, options);
}

}  // namespace onepass
