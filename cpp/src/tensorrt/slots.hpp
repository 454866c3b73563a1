// Blocks of memory that are lent with results, and come back when the last tensor on them is gone.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace onepass::tensorrt {

class Slots : public std::enable_shared_from_this<Slots> {
  public:
    using Make = std::shared_ptr<void> (*)(std::size_t bytes);

    Slots(std::size_t bytes, Make make) : bytes_(bytes), make_(make) {}

    std::size_t bytes() const { return bytes_; }

    std::shared_ptr<void> take() {  // null where all are out: somebody keeps many results
        const std::lock_guard<std::mutex> lock(mutex_);
        if (idle_.empty()) {
            if (all_.size() >= kMost) return nullptr;
            idle_.reserve(kMost);  // so that giving back cannot fail
            all_.reserve(kMost);
            all_.push_back(make_(bytes_));
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
    bool has(const void* block) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const std::shared_ptr<void>& each : all_)
            if (each.get() == block) return true;
        return false;
    }

  private:
    static constexpr std::size_t kMost = 4;

    const std::size_t bytes_;
    const Make make_;
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<void>> all_;
    std::vector<void*> idle_;
};

}  // namespace onepass::tensorrt
