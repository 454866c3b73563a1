// An engine on one GPU, and its lanes there. Whoever calls it holds the lock of the backend.
#pragma once

#include "lane.hpp"

namespace onepass::tensorrt {

class Gpu {
  public:
    Gpu(const std::string& path, const Options& options, int device, const LentInputs& lent);
    ~Gpu();
    Gpu(const Gpu&) = delete;
    Gpu& operator=(const Gpu&) = delete;

    // A lane for a call that is queued in this stream, or in none: the one that served the stream last, one at rest, a
    // new one, or else any. Null where all that there may be are taken.
    Lane* take(const std::optional<void*>& stream);
    void give_back(Lane* lane) noexcept { idle_.push_back(lane); }
    bool has_lane() const { return !idle_.empty() || lanes_.size() < most_; }
    std::size_t busy() const { return lanes_.size() - idle_.size(); }
    std::string memory() const;  // how much is free; empty where the GPU answers nothing, as after a fault
    std::string report() const;
    std::string text() const { return "GPU " + std::to_string(engine.device) + " (" + engine.gpu + ")"; }

    Engine engine;
    bool shares = false;  // whether several contexts may have one profile
    bool is_open = true;  // whether calls go to it

  private:
    void grow();

    const LentInputs& lent_;
    std::size_t most_ = 1;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<Lane*> idle_;
};

}  // namespace onepass::tensorrt
