// SHA-256 (FIPS 180-4), for the digests in a sidecar.
#pragma once

#include <string>
#include <string_view>

namespace onepass {

std::string sha256(std::string_view data);  // 64 hexadecimal digits

}  // namespace onepass
