// A stream, memory that passes compute in one after the other, and the passes. It runs one call at a time.
#pragma once

#include <list>

#include "pass.hpp"

namespace onepass::tensorrt {

class Lane {
  public:
    Lane(Engine& engine, const LentInputs& lent)
        : engine_(engine),
          lent_(lent),
          scratch_(device_block(engine.scratch_size())),
          stream_(new_stream()),
          event_(new_event()) {}
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    // Whether several contexts may have one profile; TensorRT is made to show it, since what is refused would crash
    // later.
    bool find_out_sharing();
    // `shares`: what that said.
    std::vector<Tensor> run(const Request& request, bool shares);
    std::vector<double> bare_runs(const Request& request, bool shares, std::size_t times);
    std::string report() const;
    // Whether nothing that was queued for a caller's stream may be under way; and the stream that it was queued for.
    bool is_at_rest() const { return !behind_ || cudaStreamQuery(stream_.get()) == cudaSuccess; }
    bool served(const std::optional<void*>& stream) const { return behind_ && stream && *stream == last_; }

  private:
    void settle();
    Pass& passing(const Pass::Feeds& feeds, bool shares);
    Pass::Context context(int profile, bool shares);

    Engine& engine_;
    const LentInputs& lent_;
    DeviceBlock scratch_;
    Stream stream_;
    Event event_;
    bool behind_ = false;  // whether the last call was queued, and not waited for
    void* last_ = nullptr;
    std::map<int, Pass::Context> idle_;                                // by profile
    std::list<std::pair<std::string, std::unique_ptr<Pass>>> passes_;  // the one used last is first
};

}  // namespace onepass::tensorrt
