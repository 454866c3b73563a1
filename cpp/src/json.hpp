// JSON, read strictly, and written as the sidecar's digest wants it.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace onepass {

struct JsonError : std::runtime_error {  // says where; whoever reads says which file
    using std::runtime_error::runtime_error;
};

struct Json {
    enum class Kind { null, boolean, number, text, list, object };
    Kind kind = Kind::null;
    std::string text;  // of a text, in UTF-8; of a number, as it was written; "true" or "false"
    std::vector<Json> list;
    std::map<std::string, Json> object;

    const Json* find(const std::string& key) const;
    const Json& operator[](const std::string& key) const;  // std::out_of_range where there is none
    bool is_true() const { return kind == Kind::boolean && text == "true"; }
    bool is_whole() const;       // a number without fraction or exponent
    std::int64_t whole() const;  // its value; std::out_of_range beyond 64 bits
    double number() const;
};

Json parsed_json(std::string_view text);  // JsonError
// In ASCII, keys sorted, no spaces, numbers as Python writes them.
std::string compact_json(const Json& value);

}  // namespace onepass
