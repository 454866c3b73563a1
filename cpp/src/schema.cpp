#include "schema.hpp"

#include <algorithm>
#include <regex>

extern const char* const onepass_sidecar_schema;

namespace onepass {
namespace {

std::string type_of(const Json& value) {
    switch (value.kind) {
        case Json::Kind::null:
            return "null";
        case Json::Kind::boolean:
            return "boolean";
        case Json::Kind::number:
            return value.is_whole() ? "integer" : "number";
        case Json::Kind::text:
            return "string";
        case Json::Kind::list:
            return "array";
        default:
            return "object";
    }
}

std::string in_words(const std::string& type) {
    static const std::map<std::string, std::string> words = {
        {"null", "null"},       {"boolean", "true or false"}, {"integer", "an integer"}, {"number", "a number"},
        {"string", "a string"}, {"array", "a list"},          {"object", "an object"}};
    return words.at(type);
}

bool is(const Json& value, const std::string& type) {
    const std::string own = type_of(value);
    return own == type || (own == "integer" && type == "number");
}

std::string shown(const Json& value) {
    const std::string text = compact_json(value);
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

// What was expected in place of a value; nothing if it is as the schema has it.
std::string complaint(const Json& value, const Json& schema) {
    if (const Json* type = schema.find("type")) {
        const std::vector<Json> one = {*type};
        const std::vector<Json>& types = type->kind == Json::Kind::list ? type->list : one;
        if (std::none_of(types.begin(), types.end(), [&](const Json& each) { return is(value, each.text); })) {
            std::string words;
            for (const Json& each : types) words += (words.empty() ? "" : " or ") + in_words(each.text);
            return words;
        }
    }
    if (const Json* choices = schema.find("enum")) {
        std::string words;
        for (const Json& each : choices->list) {
            if (each.kind == value.kind && each.text == value.text) return "";
            words += (words.empty() ? "" : ", ") + each.text;
        }
        return "one of " + words;
    }
    if (is(value, "number")) {
        const Json* least = schema.find("minimum");
        return least && value.number() < least->number() ? "at least " + least->text : "";
    }
    if (is(value, "string")) {
        if (const Json* least = schema.find("minLength");
            least && value.text.size() < static_cast<std::size_t>(least->whole()))
            return "at least " + least->text + " character(s)";
        const Json* pattern = schema.find("pattern");
        return !pattern || std::regex_search(value.text, std::regex(pattern->text))
                   ? ""
                   : "a string that matches " + pattern->text;
    }
    if (is(value, "array")) {  // the lists of the format have so many entries, or any number
        const Json* least = schema.find("minItems");
        return !least || static_cast<std::size_t>(least->whole()) == value.list.size() ? "" : least->text + " entries";
    }
    return "";
}

std::string joined(const std::string& key, const std::string& name) { return key.empty() ? name : key + "." + name; }

std::string description(const Json& schema) {
    const Json* found = schema.find("description");
    std::string text = found ? found->text : "";
    if (!text.empty() && text.back() == '.') text.pop_back();
    return text;
}

Json completed(const Json& value, const Json& given, const Json& root, const std::string& key) {
    const Json* reference = given.find("$ref");
    const Json& schema = reference ? root["$defs"][reference->text.substr(reference->text.rfind('/') + 1)] : given;
    if (const std::string expected = complaint(value, schema); !expected.empty()) {
        const std::string about = description(schema);
        throw JsonError((key.empty() ? "it" : key) + " is " + shown(value) + ", expected " + expected +
                        (about.empty() ? "" : " (" + about + ")"));
    }
    Json made = value;
    if (const Json* items = schema.find("items"); items && value.kind == Json::Kind::list)
        for (std::size_t i = 0; i < value.list.size(); ++i)
            made.list[i] = completed(value.list[i], *items, root, key + "[" + std::to_string(i) + "]");
    if (value.kind != Json::Kind::object) return made;
    static const Json nothing;
    const Json* properties = schema.find("properties");
    const Json* rest = schema.find("additionalProperties");
    const Json& known = properties ? *properties : nothing;
    if (const Json* required = schema.find("required"))
        for (const Json& each : required->list)
            if (!value.find(each.text))
                throw JsonError(joined(key, each.text) + " is missing, expected " + description(known[each.text]));
    for (auto& [name, each] : made.object) {
        const Json* own = known.find(name);
        each = completed(each, own ? *own : rest ? *rest : nothing, root, joined(key, name));
    }
    for (const auto& [name, each] : known.object)
        if (const Json* standard = each.find("default")) made.object.try_emplace(name, *standard);
    return made;
}

}  // namespace

const Json& sidecar_schema() {
    static const Json schema = parsed_json(onepass_sidecar_schema);
    return schema;
}

Json completed(const Json& value, const Json& schema) { return completed(value, schema, schema, ""); }

}  // namespace onepass
