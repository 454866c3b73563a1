#include "gpu.hpp"

namespace onepass::tensorrt {

Gpu::Gpu(const std::string& path, const Options& options, int device, const LentInputs& lent)
    : engine(path, options, device), lent_(lent) {
    const OnDevice current(device);
    grow();
    shares = lanes_[0]->find_out_sharing();
    most_ = shares ? static_cast<std::size_t>(options.contexts) : 1;
}

Gpu::~Gpu() {
    try {
        const OnDevice current(engine.device);
        lanes_.clear();
    } catch (const Error&) {  // the driver has gone: nothing is left to free
    }
}

void Gpu::grow() {
    lanes_.reserve(lanes_.size() + 1);
    idle_.reserve(lanes_.size() + 1);  // so that giving back cannot fail
    lanes_.push_back(std::make_unique<Lane>(engine, lent_));
    idle_.push_back(lanes_.back().get());
}

Lane* Gpu::take(const std::optional<void*>& stream) {
    const OnDevice current(engine.device);
    const auto idle = [&](auto suits) -> Lane* {  // the one given back last, whose memory is warm
        const auto found = std::find_if(idle_.rbegin(), idle_.rend(), suits);
        return found == idle_.rend() ? nullptr : *found;
    };
    Lane* lane = idle([&](const Lane* each) { return each->served(stream); });
    if (!lane) lane = idle([](const Lane* each) { return each->is_at_rest(); });
    if (!lane && lanes_.size() < most_) try {
            grow();
        } catch (const BackendError&) {  // no memory for another: those that are there serve all
            most_ = lanes_.size();
        }
    if (!lane) lane = idle([](const Lane*) { return true; });
    idle_.erase(std::remove(idle_.begin(), idle_.end(), lane), idle_.end());
    return lane;
}

std::string Gpu::memory() const {
    try {
        const OnDevice current(engine.device);
        std::size_t free_bytes = 0, all_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &all_bytes), "cudaMemGetInfo");
        return "memory " + std::to_string(free_bytes) + " of " + std::to_string(all_bytes) + " bytes free";
    } catch (const BackendError&) { return ""; }
}

std::string Gpu::report() const {
    std::string text = "GPU " + std::to_string(engine.device) + ", " + engine.gpu + (is_open ? "" : ", broken") +
                       "\ncontexts " + std::to_string(lanes_.size()) + " of " + std::to_string(most_) +
                       (memory().empty() ? "" : "\n" + memory());
    for (const Lane* lane : idle_) text += lane->report();  // one that runs is left alone
    return text;
}

}  // namespace onepass::tensorrt
