#include "metadata.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>

namespace les {

namespace {

using Json = LES_JSON_NAMESPACE::json;

// The fields of one object of the file, named with those that it lies in.
class Reader {
 public:
  Reader(const Json &json, std::string path, std::string prefix = "") :
      json_(json), path_(std::move(path)), prefix_(std::move(prefix))
  {
    require(json_.is_object(), prefix_.empty() ? "has unreadable metadata (lammps_les.json is not a JSON object)"
                                               : "has a metadata field '" + prefix_.substr(0, prefix_.size() - 1) +
                                                     "' of the wrong type: " + json_.dump());
  }

  [[noreturn]] void refuse(const std::string &what) const
  {
    throw ModelFileError("model file " + path_ + " " + what +
                         "; export the model again with 'lammps-les export' of this version");
  }
  void require(bool holds, const std::string &what) const
  {
    if (!holds) refuse(what);
  }

  bool contains(const char *field) const { return json_.contains(field); }
  bool has(const char *field) const { return json_.contains(field) && !json_.at(field).is_null(); }
  const Json &at(const char *field) const
  {
    if (!json_.contains(field)) refuse("lacks the metadata field '" + prefix_ + field + "'");
    return json_.at(field);
  }
  Reader group(const char *field) const { return {at(field), path_, prefix_ + field + "."}; }

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
  // left as it is where the file does not have the field
  template <class T> void get_optional(const char *field, T &value) const
  {
    if (json_.contains(field)) get(field, value);
  }
  [[noreturn]] void wrong_type(const char *field) const
  {
    refuse("has a metadata field '" + prefix_ + field + "' of the wrong type: " + json_.at(field).dump());
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

void read_network(const Reader &reader, Metadata::Network &n)
{
  reader.get("species", n.species);
  reader.get("cutoff", n.cutoff);
  reader.get("layers", n.layers);
  reader.get("kept", n.kept);
  reader.get("sent", n.sent);
  reader.get("dtype", n.dtype);
  reader.get_optional("kind", n.kind);
  if (reader.contains("config")) {
    if (!reader.at("config").is_object()) reader.wrong_type("config");
    n.config = reader.at("config").dump();
  }

  reader.require(!n.species.empty(), "names no species");
  reader.require(std::set<std::string>(n.species.begin(), n.species.end()).size() == n.species.size(),
                 "names a species twice");
  reader.require(n.cutoff > 0.0, "has a cutoff that is not positive");
  reader.require(n.layers >= 1, "has layers < 1");
  reader.require(n.dtype == "float32" || n.dtype == "float64",
                 "has dtype '" + n.dtype + "' (float32 or float64 expected)");
  reader.require(n.kept.size() == n.sent.size() && (n.cut() || n.pieces() == 1),
                 "has " + std::to_string(n.kept.size()) + " widths network.kept and " + std::to_string(n.sent.size()) +
                     " widths network.sent (layers - 1 = " + std::to_string(n.layers - 1) +
                     " of either expected, or none)");
  for (const auto &widths : {n.kept, n.sent})
    for (const int64_t width : widths) reader.require(width >= 0, "has a negative width in network.kept or sent");
}

void read_long_range(const Reader &reader, Metadata::LongRange &l)
{
  reader.get("sigma", l.sigma);
  reader.get("dl", l.dl);
  reader.get("norm", l.norm);
  reader.get("remove_self", l.remove_self);
  reader.get("self_factor", l.self_factor);
  reader.get_optional("open_shift", l.open_shift);
  reader.require(l.sigma > 0.0 && l.dl > 0.0, "has sigma or dl that is not positive");
  reader.require(l.open_shift >= 0.0, "has a negative open_shift");
}

void read_charges(const Reader &reader, Metadata::Charges &c)
{
  reader.get("channels", c.channels);
  reader.get("unit", c.unit);
  reader.get("sign", c.sign);
  if (reader.has("total")) reader.get("total", c.total.emplace());
  reader.require(c.channels >= 0, "has a negative number of charge channels");
  reader.require(c.unit > 0.0, "has a unit of charge that is not positive");
  for (const double sign : c.sign)
    reader.require(sign == 1.0 || sign == -1.0, "has a charge sign that is neither +1 nor -1");
  reader.require(static_cast<int>(c.sign.size()) == c.channels,
                 "does not give one charge sign for each of its channels");
  reader.require(!c.total || c.channels == 1,
                 "fixes the total charge of a model that does not have one charge channel");
}

void read_response(const Reader &reader, Metadata::Response &r)
{
  if (reader.at("epsilon_inf").is_array()) {
    std::vector<std::vector<double>> rows;
    reader.get("epsilon_inf", rows);
    if (rows.size() != 3 || rows[0].size() != 3 || rows[1].size() != 3 || rows[2].size() != 3)
      reader.wrong_type("epsilon_inf");
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++) {
        reader.require(rows[a][b] == rows[b][a], "has a tensor epsilon_inf that is not symmetric");
        r.epsilon_inf[3 * a + b] = rows[a][b];
      }
  } else {
    double number = 0.0;
    reader.get("epsilon_inf", number);
    r.epsilon_inf = {number, 0.0, 0.0, 0.0, number, 0.0, 0.0, 0.0, number};
  }
  reader.get("remove_mean", r.remove_mean);
  std::string form = BORN_FORMS[0];
  reader.get_optional("bec_form", form);
  reader.get_optional("bec_fitted", r.bec_fitted);
  reader.require(is_dielectric(r.epsilon_inf),
                 "has epsilon_inf that is not positive definite with eigenvalues from 0.1 to 1000");
  const auto known = std::find(BORN_FORMS.begin(), BORN_FORMS.end(), form);
  reader.require(known != BORN_FORMS.end(), "has bec_form '" + form + "' (local or phase expected)");
  r.bec_form = static_cast<BornForm>(known - BORN_FORMS.begin());
}

}    // namespace

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
  const Json json = Json::parse(text, nullptr, false);
  const Reader reader(json, path);

  int version = 0;
  reader.get("format_version", version);
  if (version != Metadata::FORMAT_VERSION)
    throw ModelFileError("model file " + path + " has format version " + std::to_string(version) +
                         ", but this lammps-les reads version " + std::to_string(Metadata::FORMAT_VERSION) +
                         (version < Metadata::FORMAT_VERSION
                              ? "; make a new file with 'lammps-les export' from what it was made of"
                              : "; install the lammps-les that wrote it, or export the model again"));

  Metadata m;
  read_network(reader.group("network"), m.network);
  reader.get("latents", m.latents);
  read_long_range(reader.group("long_range"), m.long_range);
  read_charges(reader.group("charges"), m.charges);
  read_response(reader.group("response"), m.response);
  reader.get("atomic_energies", m.atomic_energies);
  reader.get_optional("atomic_masses", m.atomic_masses);
  reader.get("provenance", m.provenance);

  for (const auto &latent : m.latents)
    if (latent != "charge")
      throw ModelFileError("model file " + path + " gives '" + latent +
                           "', which this lammps-les cannot use; install a newer lammps-les");
  reader.require(m.latents.size() == (m.charges.channels > 0 ? 1 : 0),
                 "has " + std::to_string(m.charges.channels) + " charge channels, but " +
                     std::to_string(m.latents.size()) + " latents");
  for (const auto &[symbol, mass] : m.atomic_masses)
    reader.require(mass > 0.0, "has an atomic mass that is not positive, of " + symbol);
  for (const char *key : {"source", "sha256", "program", "version", "date", "citation"})
    reader.require(m.provenance.count(key) == 1, std::string("gives no provenance.") + key);
  for (const auto &symbol : m.network.species)
    reader.require(m.atomic_energies.count(symbol) == 1, "gives no atomic energy for species " + symbol);
  return m;
}

}    // namespace les
