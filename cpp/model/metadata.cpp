#include "metadata.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <set>
#include <type_traits>

namespace les {

namespace {

using Json = LES_JSON_NAMESPACE::json;

class Reader {
 public:
  Reader(const Json &json, const std::string &path) : json_(json), path_(path) {}

  [[noreturn]] void refuse(const std::string &what) const
  {
    throw ModelFileError("model file " + path_ + " " + what +
                         "; export the model again with 'lammps-les export' of this version");
  }

  template <class T> void get(const char *field, T &value) const
  {
    if (!json_.contains(field)) refuse(std::string("lacks the metadata field '") + field + "'");
    try {
      if (!fits<T>(json_.at(field))) throw Json::type_error::create(302, "type", &json_);
      value = json_.at(field).get<T>();
    } catch (const Json::exception &) {
      refuse(std::string("has a metadata field '") + field + "' of the wrong type: " + json_.at(field).dump());
    }
  }

  void require(bool holds, const std::string &what) const
  {
    if (!holds) refuse(what);
  }

 private:
  // JSON itself takes 1.7 and true for integers
  template <class T> static bool fits(const Json &value)
  {
    if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
    else if constexpr (std::is_same_v<T, int>) return value.is_number_integer() && std::abs(value.get<double>()) < 1e9;
    else if constexpr (std::is_same_v<T, double>) return value.is_number();
    else return true;
  }

  const Json &json_;
  const std::string &path_;
};

}    // namespace

Metadata parse_metadata(const std::string &text, const std::string &path)
{
  const Json json = Json::parse(text, nullptr, false);
  const Reader reader(json, path);
  reader.require(json.is_object(), "has unreadable metadata (lammps_les.json is not a JSON object)");

  int version = 0;
  reader.get("format_version", version);
  if (version != Metadata::FORMAT_VERSION)
    throw ModelFileError("model file " + path + " has format version " + std::to_string(version) +
                         ", but this lammps-les reads version " + std::to_string(Metadata::FORMAT_VERSION) +
                         "; install the lammps-les that wrote it, or export the model again");

  Metadata m;
  reader.get("species", m.species);
  reader.get("cutoff", m.cutoff);
  reader.get("layers", m.layers);
  reader.get("dtype", m.dtype);
  reader.get("channels", m.channels);
  reader.get("sigma", m.sigma);
  reader.get("dl", m.dl);
  reader.get("norm", m.norm);
  reader.get("remove_self", m.remove_self);
  reader.get("self_factor", m.self_factor);
  if (json.contains("open_shift")) reader.get("open_shift", m.open_shift);
  reader.get("charge_unit", m.charge_unit);
  reader.get("charge_sign", m.charge_sign);
  if (json.contains("total_charge") && !json["total_charge"].is_null())
    reader.get("total_charge", m.total_charge.emplace());
  reader.get("epsilon_inf", m.epsilon_inf);
  reader.get("remove_mean", m.remove_mean);
  if (json.contains("bec_form")) reader.get("bec_form", m.bec_form);
  if (json.contains("bec_fitted")) reader.get("bec_fitted", m.bec_fitted);
  reader.get("atomic_energies", m.atomic_energies);
  if (json.contains("atomic_masses")) reader.get("atomic_masses", m.atomic_masses);
  reader.get("provenance", m.provenance);

  reader.require(!m.species.empty(), "names no species");
  reader.require(m.cutoff > 0.0, "has a cutoff that is not positive");
  reader.require(m.layers >= 1, "has layers < 1");
  reader.require(m.dtype == "float32" || m.dtype == "float64",
                 "has dtype '" + m.dtype + "' (float32 or float64 expected)");
  reader.require(m.bec_form == "local" || m.bec_form == "phase",
                 "has bec_form '" + m.bec_form + "' (local or phase expected)");
  reader.require(m.channels >= 0, "has a negative number of charge channels");
  reader.require(m.sigma > 0.0 && m.dl > 0.0, "has sigma or dl that is not positive");
  reader.require(m.charge_unit > 0.0, "has a charge_unit that is not positive");
  reader.require(m.open_shift >= 0.0, "has a negative open_shift");
  for (const auto &[symbol, mass] : m.atomic_masses)
    reader.require(mass > 0.0, "has an atomic mass that is not positive, of " + symbol);
  for (const double sign : m.charge_sign)
    reader.require(sign == 1.0 || sign == -1.0, "has a charge sign that is neither +1 nor -1");
  reader.require(std::set<std::string>(m.species.begin(), m.species.end()).size() == m.species.size(),
                 "names a species twice");
  for (const char *key : {"source", "sha256", "program", "version", "date", "citation"})
    reader.require(m.provenance.count(key) == 1, std::string("gives no provenance.") + key);
  reader.require(m.epsilon_inf > 0.0, "has epsilon_inf that is not positive");
  reader.require(static_cast<int>(m.charge_sign.size()) == m.channels,
                 "does not give one charge sign for each of its channels");
  reader.require(!m.total_charge || m.channels == 1,
                 "fixes the total charge of a model that does not have one charge channel");
  for (const auto &symbol : m.species)
    reader.require(m.atomic_energies.count(symbol) == 1, "gives no atomic energy for species " + symbol);
  return m;
}

}    // namespace les
