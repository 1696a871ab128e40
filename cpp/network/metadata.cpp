#include "metadata.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>
#include <type_traits>

namespace les {

namespace {

using Json = LES_JSON_NAMESPACE::json;

constexpr size_t LONGEST = 1 << 20;    // bytes
constexpr int DEEPEST = 32;

[[noreturn]] void refuse(const std::string &path, const std::string &what)
{
  throw ModelFileError("model file " + path + " " + what +
                       "; export the model again with 'lammps-les export' of this version");
}

// A value for a message.
std::string shown(const Json &value)
{
  const std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  return text.size() <= 100 ? text : text.substr(0, 100) + "...";
}

// JSON of bounded depth, for what reads it is recursive, and without keys that stand twice, of which readers take one or the other.
Json parse(const std::string &text, const std::string &path)
{
  if (text.size() > LONGEST) refuse(path, "has metadata of more than 1 MB");
  std::vector<std::set<std::string>> keys;
  const auto look = [&](int depth, Json::parse_event_t event, const Json &value) {
    if (depth > DEEPEST) refuse(path, "has metadata that are nested more than " + std::to_string(DEEPEST) + " deep");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      refuse(path, "has the metadata field " + shown(value) + " twice");
    return true;
  };
  // a mark of byte order and what follows a zero byte would be passed over
  const bool plain = text.find('\0') == std::string::npos && text.compare(0, 3, "\xEF\xBB\xBF") != 0;
  const Json found = plain ? Json::parse(text, look, false) : Json();
  if (!found.is_object()) refuse(path, "has unreadable metadata (lammps_les.json is not a JSON object)");
  return found;
}

// What a number may be.
struct Range {
  double low, high;
  const char *unit = "";

  bool holds(double value) const { return value >= low && value <= high; }
};

// The fields of one object of the file, named with those that it lies in.
class Reader {
 public:
  Reader(const Json &json, std::string path, std::string prefix = "") :
      json_(json), path_(std::move(path)), prefix_(std::move(prefix))
  {
  }

  void require(bool holds, const std::string &what) const
  {
    if (!holds) refuse(path_, what);
  }

  bool contains(const char *field) const { return json_.contains(field); }
  bool has(const char *field) const { return json_.contains(field) && !json_.at(field).is_null(); }
  const Json &at(const char *field) const
  {
    require(json_.contains(field), "lacks the metadata field '" + prefix_ + field + "'");
    return json_.at(field);
  }
  Reader group(const char *field) const
  {
    if (!at(field).is_object()) wrong_type(field);
    return {at(field), path_, prefix_ + field + "."};
  }

  template <class T> void get(const char *field, T &value) const
  {
    const Json &found = at(field);
    try {
      if (!fits<T>(found)) throw Json::type_error::create(302, "type", &found);
      value = found.get<T>();
    } catch (const Json::exception &) {
      wrong_type(field);
    }
  }
  // A number, or numbers, all within the range.
  template <class T> void get(const char *field, T &value, const Range &range) const
  {
    get(field, value);
    const Json &found = at(field);
    for (const Json &number : found.is_structured() ? found : Json::array({found}))
      if (!range.holds(number.get<double>())) outside(field, number, range);
  }
  [[noreturn]] void outside(const char *field, const Json &number, const Range &range) const
  {
    std::ostringstream text;
    text << "has a metadata field '" << prefix_ << field << "' of " << shown(number) << ", where " << range.low
         << " to " << range.high << range.unit << " is expected";
    refuse(path_, text.str());
  }
  // left as they are where the file does not have the field
  template <class T> void get_optional(const char *field, T &value) const
  {
    if (json_.contains(field)) get(field, value);
  }
  template <class T> void get_optional(const char *field, T &value, const Range &range) const
  {
    if (json_.contains(field)) get(field, value, range);
  }
  [[noreturn]] void wrong_type(const char *field) const
  {
    refuse(path_, "has a metadata field '" + prefix_ + field + "' of the wrong type: " + shown(json_.at(field)));
  }

 private:
  // JSON itself takes 1.7 and true for integers
  template <class T> static bool fits(const Json &value)
  {
    if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
    else if constexpr (std::is_same_v<T, int>) return value.is_number_integer() && std::abs(value.get<double>()) < 1e9;
    else if constexpr (std::is_same_v<T, double>) return value.is_number();
    else if constexpr (std::is_same_v<T, std::vector<int64_t>>) return value.is_array() && all_fit<int>(value);
    else if constexpr (std::is_same_v<T, std::vector<double>> || std::is_same_v<T, std::map<std::string, double>>)
      return all_fit<double>(value);
    else if constexpr (std::is_same_v<T, std::vector<std::vector<double>>>) return all_fit<std::vector<double>>(value);
    else return true;
  }

  template <class T> static bool all_fit(const Json &values)
  {
    return std::all_of(values.begin(), values.end(), [](const Json &value) { return fits<T>(value); });
  }

  const Json &json_;
  std::string path_, prefix_;
};

bool is_number(const std::string &text)
{
  char *end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && std::isfinite(value);
}

bool is_symbol(const std::string &text)
{
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void read_network(const Reader &reader, Metadata::Network &n)
{
  reader.get("species", n.species);
  reader.get("cutoff", n.cutoff, {0.5, 50.0, " A"});
  reader.get("layers", n.layers, {1, 100});
  reader.get("kept", n.kept, {0, 1e6});
  reader.get("sent", n.sent, {0, 1e6});
  reader.get("dtype", n.dtype);
  reader.get_optional("kind", n.kind);
  if (reader.contains("config")) {
    if (!reader.at("config").is_object()) reader.wrong_type("config");
    n.config = reader.at("config").dump();
  }

  reader.require(!n.species.empty(), "names no species");
  for (const std::string &symbol : n.species)
    reader.require(is_symbol(symbol),
                   "has a species " + shown(symbol) + ", where 1 to 20 printable characters are expected");
  reader.require(std::set<std::string>(n.species.begin(), n.species.end()).size() == n.species.size(),
                 "names a species twice");
  reader.require(n.dtype == "float32" || n.dtype == "float64",
                 "has network.dtype " + shown(n.dtype) + " (float32 or float64 expected)");
  reader.require(n.kept.size() == n.sent.size() && (n.cut() || n.pieces() == 1),
                 "has " + std::to_string(n.kept.size()) + " widths network.kept and " + std::to_string(n.sent.size()) +
                     " widths network.sent (layers - 1 = " + std::to_string(n.layers - 1) +
                     " of either expected, or none)");
}

void read_long_range(const Reader &reader, Metadata::LongRange &l)
{
  reader.get("sigma", l.sigma, {0.1, 20.0, " A"});
  reader.get("dl", l.dl, {0.1, 50.0, " A"});
  reader.get("norm", l.norm, {1e-20, 1e6, " eV A per file unit squared"});
  reader.get("remove_self", l.remove_self);
  reader.get("self_factor", l.self_factor, {0.0, 1000.0});
  reader.get_optional("open_shift", l.open_shift, {0.0, 1.0, " A"});
}

void read_charges(const Reader &reader, Metadata::Charges &c)
{
  reader.get("channels", c.channels, {0, 1000});
  reader.get("unit", c.unit, {1e-6, 1e6, " e"});
  reader.get("sign", c.sign);
  if (reader.has("total")) reader.get("total", c.total.emplace(), {-1e4, 1e4, " e"});
  for (const double sign : c.sign)
    reader.require(sign == 1.0 || sign == -1.0, "has a charges.sign that is neither +1 nor -1");
  reader.require(static_cast<int>(c.sign.size()) == c.channels,
                 "does not give one charges.sign for each of its channels");
  reader.require(!c.total || c.channels == 1, "fixes charges.total of a model that does not have one charge channel");
}

// A number, or a symmetric matrix in rows, with eigenvalues in range.
std::array<double, 9> read_dielectric(const Reader &reader, const char *field)
{
  std::array<double, 9> epsilon{};
  if (reader.at(field).is_array()) {
    std::vector<std::vector<double>> rows;
    reader.get(field, rows);
    if (rows.size() != 3 || rows[0].size() != 3 || rows[1].size() != 3 || rows[2].size() != 3) reader.wrong_type(field);
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++) {
        reader.require(rows[a][b] == rows[b][a], std::string("has a tensor ") + field + " that is not symmetric");
        epsilon[3 * a + b] = rows[a][b];
      }
  } else {
    double number = 0.0;
    reader.get(field, number);
    epsilon = {number, 0.0, 0.0, 0.0, number, 0.0, 0.0, 0.0, number};
  }
  if (!is_dielectric(epsilon))
    reader.outside(field, reader.at(field),
                   {Metadata::Response::SMALLEST_EPSILON, Metadata::Response::LARGEST_EPSILON});
  return epsilon;
}

void read_response(const Reader &reader, Metadata::Response &r)
{
  r.epsilon_inf = read_dielectric(reader, "epsilon_inf");
  if (reader.has("epsilon_e")) r.epsilon_e = read_dielectric(reader, "epsilon_e");
  reader.get("remove_mean", r.remove_mean);
  std::string form = BORN_FORMS[0];
  reader.get_optional("bec_form", form);
  reader.get_optional("bec_fitted", r.bec_fitted);
  reader.get_optional("alpha_rank", r.alpha_rank);
  reader.require(r.alpha_rank == 0 || r.alpha_rank == 2,
                 "has response.alpha_rank " + std::to_string(r.alpha_rank) + " (0 or 2 expected)");
  if (reader.has("susceptibility")) reader.get("susceptibility", r.susceptibility.emplace(), {0.0, 1.0});
  if (reader.has("softness")) reader.get("softness", r.softness.emplace(), {0.0, 1e6, " unit^2/(eV A^3)"});
  const auto known = std::find(BORN_FORMS.begin(), BORN_FORMS.end(), form);
  reader.require(known != BORN_FORMS.end(), "has response.bec_form " + shown(form) + " (local or phase expected)");
  r.bec_form = static_cast<BornForm>(known - BORN_FORMS.begin());
}

}    // namespace

bool Metadata::gives(const std::string &latent) const
{
  return std::find(latents.begin(), latents.end(), latent) != latents.end();
}

std::vector<int64_t> Metadata::latent_shape(const std::string &latent, int64_t n) const
{
  const int rank = latent == "dipole" ? 1 : latent == "quadrupole" ? 2 : latent == "alpha" ? response.alpha_rank : 0;
  std::vector<int64_t> shape(2 + rank, 3);
  shape[0] = n;
  shape[1] = charges.channels;
  return shape;
}

bool is_dielectric(const std::array<double, 9> &matrix)
{
  using Response = Metadata::Response;
  std::array<double, 9> e = matrix;    // less the smallest, it is positive definite
  for (int a = 0; a < 3; a++) e[4 * a] -= Response::SMALLEST_EPSILON * (1.0 - 1e-9);
  const double minor = e[0] * e[4] - e[1] * e[3];
  const double det =
      e[0] * (e[4] * e[8] - e[5] * e[7]) - e[1] * (e[3] * e[8] - e[5] * e[6]) + e[2] * (e[3] * e[7] - e[4] * e[6]);
  const bool small = std::all_of(matrix.begin(), matrix.end(),
                                 [](double value) { return std::abs(value) <= Response::LARGEST_EPSILON; });
  return small && e[0] > 0.0 && minor > 0.0 && det > 0.0;
}

Metadata parse_metadata(const std::string &text, const std::string &path)
{
  const Json json = parse(text, path);
  const Reader reader(json, path);

  int version = 0;
  reader.get("format_version", version);
  if (version != Metadata::FORMAT_VERSION) {
    std::string source;    // of version 1, which says what it was made of
    if (reader.contains("provenance") && json["provenance"].is_object() && json["provenance"].contains("source"))
      source = " (this one was made of " + shown(json["provenance"]["source"]) + ")";
    throw ModelFileError("model file " + path + " has format version " + std::to_string(version) +
                         ", but this lammps-les reads version " + std::to_string(Metadata::FORMAT_VERSION) +
                         (version < Metadata::FORMAT_VERSION
                              ? "; make a new file with 'lammps-les export SOURCE -o FILE'" + source
                              : "; install the lammps-les that wrote it, or export the model again"));
  }

  Metadata m;
  m.text = text;
  read_network(reader.group("network"), m.network);
  reader.get("latents", m.latents);
  read_long_range(reader.group("long_range"), m.long_range);
  read_charges(reader.group("charges"), m.charges);
  read_response(reader.group("response"), m.response);
  reader.get("atomic_energies", m.atomic_energies, {-1e7, 1e7, " eV"});
  reader.get_optional("atomic_masses", m.atomic_masses, {0.01, 1000.0, " g/mol"});
  reader.get("provenance", m.provenance);

  std::vector<std::string> in_order;
  for (const auto &latent : LATENT_NAMES)
    if (m.gives(latent)) in_order.push_back(latent);
  for (const auto &latent : m.latents)
    if (std::find(LATENT_NAMES.begin(), LATENT_NAMES.end(), latent) == LATENT_NAMES.end())
      throw ModelFileError("model file " + path + " gives " + shown(latent) +
                           " as latents, which this lammps-les cannot use; install a newer lammps-les");
  reader.require(m.gives("charge") == (m.charges.channels > 0) && m.latents == in_order &&
                     (m.latents.empty() || m.gives("charge")),
                 "has " + std::to_string(m.charges.channels) + " charge channels, but latents " +
                     shown(reader.at("latents")) + " (charge, dipole, quadrupole, kappa, alpha expected, " +
                     "those that it has, in this order, charge first; none without channels)");
  reader.require(m.latents.size() <= 1 || m.long_range.open_shift == 0.0,
                 "has a long_range.open_shift, which charges alone may have, and latents " +
                     shown(reader.at("latents")));
  for (const char *key : {"source", "sha256", "program", "version", "date", "citation"})
    reader.require(m.provenance.count(key) == 1, std::string("gives no provenance.") + key);
  const auto embedded = m.provenance.find("embedded_total_charge");
  reader.require(embedded == m.provenance.end() || is_number(embedded->second),
                 "has a provenance.embedded_total_charge that is no number");
  for (const auto &symbol : m.network.species)
    reader.require(m.atomic_energies.count(symbol) == 1, "gives no atomic_energies for species " + symbol);
  return m;
}

void require_same_metadata(const std::string &held, const std::string &stated, const std::string &path)
{
  const Json of_module = parse(held, path), of_file = parse(stated, path);
  const Json differences = Json::diff(of_file, of_module);
  if (differences.empty()) return;
  std::string place = differences[0]["path"];
  if (place.ends_with("/-")) place.resize(place.size() - 2);    // after the end of a list
  const Json::json_pointer pointer(place);
  const auto value = [&](const Json &json) { return json.contains(pointer) ? shown(json[pointer]) : "nothing"; };
  std::string field = place.substr(1);
  std::replace(field.begin(), field.end(), '/', '.');
  refuse(path, "says " + value(of_file) + " in its metadata field '" + field + "', but its network was written with " +
                   value(of_module));
}

}    // namespace les
