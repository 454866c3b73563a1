// Page-locked blocks that are lent with results, and come back when the last tensor on them is gone.
#pragma once

#include <mutex>
#include <vector>

#include "cuda.hpp"

namespace onepass::tensorrt {

class Slots : public std::enable_shared_from_this<Slots> {
  public:
    explicit Slots(std::size_t bytes) : bytes_(bytes) {}

    std::size_t bytes() const { return bytes_; }

    std::shared_ptr<void> take() {  // null where all are out: somebody keeps many results
        const std::lock_guard<std::mutex> lock(mutex_);
        if (idle_.empty()) {
            if (all_.size() >= kMost) return nullptr;
            idle_.reserve(kMost);  // so that giving back cannot fail
            all_.push_back(host_block(bytes_));
            idle_.push_back(all_.back().get());
        }
        // The pool lives as long as a block of it is out.
        std::shared_ptr<void> lent(idle_.back(), [pool = shared_from_this()](void* block) {
            const std::lock_guard<std::mutex> guard(pool->mutex_);
            pool->idle_.push_back(block);
        });
        idle_.pop_back();
        return lent;
    }

  private:
    static constexpr std::size_t kMost = 4;

    const std::size_t bytes_;
    std::mutex mutex_;
    std::vector<HostBlock> all_;
    std::vector<void*> idle_;
};

}  // namespace onepass::tensorrt
