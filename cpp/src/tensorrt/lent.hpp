// Page-locked memory for inputs, lent to be filled, and known again when it comes.
#pragma once

#include <list>

#include "../layout.hpp"
#include "cuda.hpp"
#include "slots.hpp"

namespace onepass::tensorrt {

class LentInputs {
  public:
    // A block for inputs of these shapes; null while all that there are of them are out.
    std::shared_ptr<void> give(const std::vector<Shape>& shapes, std::size_t bytes) {
        std::shared_ptr<Slots> slots;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto found =
                std::find_if(pools_.begin(), pools_.end(), [&](const Pool& each) { return each.shapes == shapes; });
            if (found == pools_.end())
                pools_.push_front({shapes, std::make_shared<Slots>(bytes, kept_host_block)});
            else
                pools_.splice(pools_.begin(), pools_, found);
            if (pools_.size() > kShapes) pools_.pop_back();  // blocks that are out keep their pool
            slots = pools_.front().slots;
        }
        return slots->take();
    }
    // Whether a block of this size, as `give` gave it, begins at an address.
    bool has(const void* block, std::size_t bytes) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const Pool& each : pools_)
            if (each.slots->bytes() == bytes && each.slots->has(block)) return true;
        return false;
    }

  private:
    static constexpr std::size_t kShapes = 8;
    struct Pool {
        std::vector<Shape> shapes;
        std::shared_ptr<Slots> slots;
    };

    mutable std::mutex mutex_;
    std::list<Pool> pools_;  // the one used last is first
};

}  // namespace onepass::tensorrt
