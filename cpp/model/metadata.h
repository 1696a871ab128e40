// What a model file says of itself: the fields of export/FORMAT.md, format version 1.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace les {

// The file is not one that this version can use; the text says what was expected, what came and what to do.
class ModelFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Metadata {
  static constexpr int FORMAT_VERSION = 1;

  std::vector<std::string> species;
  double cutoff = 0.0;    // A, of one layer
  int layers = 1;
  std::string dtype;    // "float32" or "float64"
  int channels = 0;
  double sigma = 0.0;    // A
  double dl = 0.0;       // A
  double norm = 0.0;     // eV A per file unit squared
  bool remove_self = true;
  double self_factor = 1.0;
  double open_shift = 0.0;     // A
  double charge_unit = 0.0;    // e per file unit
  std::vector<double> charge_sign;
  std::optional<double> total_charge;    // e, of the whole system: the charges are shifted to it
  double epsilon_inf = 1.0;
  bool remove_mean = true;
  std::string bec_form = "local";    // or "phase": form of the Born effective charges that the charges were trained for
  bool bec_fitted = false;           // Born effective charges were among the labels, so they settle how channels couple
  std::map<std::string, double> atomic_energies;    // eV
  std::map<std::string, double> atomic_masses;      // g/mol; may lack symbols
  std::map<std::string, std::string> provenance;

  // Energies are even in the charges of each channel, so they do not say how several channels add up to one response.
  bool coupling_is_known() const { return channels <= 1 || bec_fitted; }
};

// Throws ModelFileError where `text` is not a valid `lammps_les.json`; `path` is named in the message.
Metadata parse_metadata(const std::string &text, const std::string &path);

}    // namespace les
