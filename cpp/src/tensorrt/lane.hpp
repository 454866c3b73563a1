// A stream, memory that passes compute in one after the other, and the passes. It runs one call at a time.
#pragma once

#include <list>

#include "pass.hpp"

namespace onepass::tensorrt {

class Lane {
  public:
    explicit Lane(Engine& engine)
        : engine_(engine), scratch_(device_block(engine.scratch_size())), stream_(new_stream()) {}

    // Whether several contexts may have one profile; TensorRT is made to show it, since what is refused would crash
    // later.
    bool find_out_sharing();
    // `shares`: what that said.
    std::vector<Tensor> run(const Pass::Feeds& feeds, const std::vector<std::size_t>& wanted, bool shares);
    std::string report() const;

  private:
    Pass& passing(const Pass::Feeds& feeds, bool shares);
    Pass::Context context(int profile, bool shares);

    Engine& engine_;
    DeviceBlock scratch_;
    Stream stream_;
    std::map<int, Pass::Context> idle_;                                // by profile
    std::list<std::pair<std::string, std::unique_ptr<Pass>>> passes_;  // the one used last is first
};

}  // namespace onepass::tensorrt
