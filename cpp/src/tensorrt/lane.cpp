#include "lane.hpp"

#include "../profiles.hpp"

namespace onepass::tensorrt {
namespace {

constexpr std::size_t kMostPasses = 8;

int profile_of(const Engine& engine, const Pass::Feeds& feeds) {
    Came came;
    for (std::size_t i = 0; i < feeds.size(); ++i) {
        const std::string& name = engine.inputs[i].spec.name;
        came.shapes.emplace(name, feeds[i]->shape());
        if (!engine.inputs[i].on_host) continue;
        std::vector<std::int64_t> values(feeds[i]->shape().count());
        const auto read = [&](auto* numbers) { std::copy(numbers, numbers + values.size(), values.begin()); };
        if (feeds[i]->dtype() == Dtype::int64)
            read(static_cast<const std::int64_t*>(feeds[i]->data()));
        else if (feeds[i]->dtype() == Dtype::int32)
            read(static_cast<const std::int32_t*>(feeds[i]->data()));
        else
            continue;  // no values of sizes
        came.values.emplace(name, Shape(std::move(values)));
    }
    const int found = choose_profile(engine.profiles, came);
    if (found < 0) throw InputError(outside_profiles(engine.path, engine.profiles, came));
    return found;
}

// What tells passes apart: the shapes, and the values that are shapes.
std::string key_of(const Engine& engine, const Pass::Feeds& feeds) {
    std::string key;
    for (std::size_t i = 0; i < feeds.size(); ++i) {
        key += to_string(feeds[i]->shape());
        if (engine.inputs[i].on_host && feeds[i]->shape().count())
            key.append(static_cast<const char*>(feeds[i]->data()),
                       feeds[i]->shape().count() * size_of(feeds[i]->dtype()));
    }
    return key;
}

}  // namespace

bool Lane::find_out_sharing() {
    idle_[0] = engine_.new_context(scratch_.get());
    return engine_.new_context(scratch_.get())->getOptimizationProfile() == 0;
}

Lane::~Lane() {
    if (behind_) static_cast<void>(cudaStreamSynchronize(stream_.get()));
}

std::vector<Tensor> Lane::run(const Request& request, bool shares) {
    Pass::check_feeds(engine_, request.feeds);
    try {
        // What is queued may still read the memory that inputs from the host are copied to.
        const auto on_gpu = [](const Input* feed) { return feed->on_gpu(); };
        if (!request.stays || !std::all_of(request.feeds.begin(), request.feeds.end(), on_gpu)) settle();
        Pass& pass = passing(request.feeds, shares);
        if (!request.stays) return pass.run(request);
        std::vector<Tensor> tensors = pass.run_on_gpu(request, event_.get());
        behind_ = request.stream.has_value();
        last_ = request.stream.value_or(nullptr);
        return tensors;
    } catch (...) {
        static_cast<void>(cudaStreamSynchronize(stream_.get()));  // so that the next call finds it at rest
        behind_ = false;
        throw;
    }
}

std::vector<double> Lane::bare_runs(const Request& request, bool shares, std::size_t times) {
    for (int call = 0; call < 3; ++call) run(request, shares);  // it is recorded by then
    return passing(request.feeds, shares).bare_runs(times);
}

// Waits for what was queued for a caller's stream.
void Lane::settle() {
    if (behind_) check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
    behind_ = false;
}

std::string Lane::report() const {
    std::string text;
    for (const auto& each : passes_) text += "\n" + each.second->report();
    return text;
}

Pass& Lane::passing(const Pass::Feeds& feeds, bool shares) {
    const std::string key = key_of(engine_, feeds);
    const auto found =
        std::find_if(passes_.begin(), passes_.end(), [&](const auto& each) { return each.first == key; });
    if (found != passes_.end()) {
        passes_.splice(passes_.begin(), passes_, found);
        Pass& pass = *found->second;
        if (pass.is_attached()) return pass;
        settle();
        pass.attach(context(pass.profile(), shares));
        return pass;
    }
    settle();
    auto fresh = std::make_unique<Pass>(engine_, lent_, stream_.get(), profile_of(engine_, feeds), feeds);
    fresh->attach(context(fresh->profile(), shares));
    passes_.emplace_front(key, std::move(fresh));
    if (passes_.size() > kMostPasses) passes_.pop_back();
    return *passes_.front().second;
}

// One that is idle; where a profile has one context only, that of another pass; else a new one.
Pass::Context Lane::context(int profile, bool shares) {
    if (auto idle = idle_.extract(profile)) return std::move(idle.mapped());
    if (!shares)
        for (auto& each : passes_)
            if (each.second->profile() == profile && each.second->is_attached()) return each.second->detach();
    return engine_.new_context(scratch_.get());
}

}  // namespace onepass::tensorrt
