// TensorRT: runs an engine on an NVIDIA GPU. Calls of several threads run side by side, each in a lane of its own.
#include "../backend.hpp"

#include <condition_variable>

#include "lane.hpp"

namespace onepass {
namespace {

using tensorrt::Lane;
using tensorrt::OnDevice;

class TensorRt final : public Backend {
  public:
    TensorRt(const std::string& path, const Options& options) : engine_(path, options) {
        const OnDevice current(options.device);
        lanes_.push_back(std::make_unique<Lane>(engine_));
        shares_ = lanes_[0]->find_out_sharing();
        most_ = shares_ ? static_cast<std::size_t>(options.contexts) : 1;
        idle_.reserve(most_);  // so that giving back cannot fail
        idle_.push_back(lanes_[0].get());
        for (const Edge& edge : engine_.inputs) inputs_.push_back(edge.spec);
        for (const Edge& edge : engine_.outputs) outputs_.push_back(edge.spec);
    }
    ~TensorRt() override {
        try {
            const OnDevice current(engine_.options.device);
            lanes_.clear();
        } catch (const Error&) {  // the driver has gone: nothing is left to free
        }
    }

    std::vector<Tensor> run(const std::vector<const Input*>& feeds, const std::vector<std::size_t>& wanted) override {
        const OnDevice current(engine_.options.device);
        const Held held(*this);
        return held.lane->run(feeds, wanted, shares_);
    }

    std::string report() const override {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::string text = "TensorRT, " + engine_.runtime.text() + "\nGPU " + std::to_string(engine_.options.device) +
                           ", " + engine_.gpu + "\ncontexts " + std::to_string(lanes_.size()) + " of " +
                           std::to_string(most_);
        for (const Lane* lane : idle_) text += lane->report();  // one that runs is left alone
        return text;
    }

  private:
    struct Held {
        explicit Held(TensorRt& of) : owner(of), lane(of.take()) {}
        ~Held() {
            {
                const std::lock_guard<std::mutex> lock(owner.mutex_);
                owner.idle_.push_back(lane);
            }
            owner.changed_.notify_one();
        }
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;

        TensorRt& owner;
        Lane* lane;
    };

    Lane* take() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return !idle_.empty() || lanes_.size() < most_; });
        if (idle_.empty()) try {
                lanes_.push_back(std::make_unique<Lane>(engine_));
                return lanes_.back().get();
            } catch (const BackendError&) {  // no memory for another: those that are there serve all
                most_ = lanes_.size();
                changed_.wait(lock, [&] { return !idle_.empty(); });
            }
        Lane* lane = idle_.back();
        idle_.pop_back();
        return lane;
    }

    tensorrt::Engine engine_;
    bool shares_ = false;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t most_ = 1;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<Lane*> idle_;
};

}  // namespace

std::unique_ptr<Backend> open_engine(const std::string& path, const Options& options) {
    return std::make_unique<TensorRt>(path, options);
}

}  // namespace onepass
