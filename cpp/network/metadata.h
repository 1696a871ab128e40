// What a model file says of itself: the fields of export/FORMAT.md, format version 2.
#pragma once

#include <array>
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

// Of the Born effective charges
enum class BornForm { Local, Phase };
inline const std::vector<std::string> BORN_FORMS{"local", "phase"};    // their names, in order

// What a network may give of each atom, in this order
inline const std::vector<std::string> LATENT_NAMES{"charge", "dipole", "quadrupole", "kappa", "alpha"};

struct Metadata {
  static constexpr int FORMAT_VERSION = 2;

  std::string text;    // all of it, as it stands in the file

  struct Network {
    std::vector<std::string> species;
    double cutoff = 0.0;          // A, of one layer
    int layers = 1;               // an atom's results depend on atoms up to layers * cutoff away
    std::vector<int64_t> kept;    // columns that an atom keeps for itself from each piece to the next
    std::vector<int64_t> sent;    // and that its neighbors get
    std::string dtype;            // "float32" or "float64"
    std::string kind;             // of architecture, "" where it does not say
    std::string config = "{}";    // JSON object: sizes of that kind
    int pieces() const { return static_cast<int>(sent.size()) + 1; }
    bool cut() const { return pieces() == layers; }    // else one piece, which needs the edges of ghosts too
  } network;

  std::vector<std::string> latents;    // that the network gives beside energies: some of LATENT_NAMES, in their order
  bool gives(const std::string &latent) const;
  std::vector<int64_t> latent_shape(const std::string &latent,
                                    int64_t n) const;    // of n atoms, as the network gives it

  struct LongRange {
    double sigma = 0.0;    // A
    double dl = 0.0;       // A
    double norm = 0.0;     // eV A per file unit squared
    bool remove_self = true;
    double self_factor = 1.0;
    double open_shift = 0.0;    // A
  } long_range;

  struct Charges {
    int channels = 0;
    double unit = 0.0;    // e per file unit
    std::vector<double> sign;
    std::optional<double> total;    // e, of the whole system: the charges are shifted to it

    std::vector<double> weights() const    // [channels] e per file unit, sign included
    {
      std::vector<double> w;
      for (const double s : sign) w.push_back(s * unit);
      return w;
    }
  } charges;

  struct Response {
    static constexpr double SMALLEST_EPSILON = 0.1, LARGEST_EPSILON = 1000.0;
    std::array<double, 9> epsilon_inf{};               // symmetric, row by row
    std::optional<std::array<double, 9>> epsilon_e;    // likewise, of the electrons that alpha does not stand for
    bool remove_mean = true;
    BornForm bec_form = BornForm::Local;    // that the charges were trained for
    bool bec_fitted = false;    // Born effective charges were among the labels, so they settle how channels couple
    int alpha_rank = 2;         // the network gives alpha as [n, C, 3, 3]; 0: as [n, C], a multiple of the unit matrix
    std::optional<double> susceptibility, softness;    // means of the training data: chi; kappa_d, unit^2/(eV A^3)
  } response;

  // Its root is what latents get in a field.
  const std::array<double, 9> &coupling_epsilon() const
  {
    return response.epsilon_e && gives("alpha") ? *response.epsilon_e : response.epsilon_inf;
  }

  std::map<std::string, double> atomic_energies;    // eV
  std::map<std::string, double> atomic_masses;      // g/mol; may lack symbols
  std::map<std::string, std::string> provenance;

  // Energies are even in the charges of each channel, so they do not say how several channels add up to one response.
  bool coupling_is_known() const { return charges.channels <= 1 || response.bec_fitted; }
};

// Whether a symmetric matrix, row by row, has eigenvalues from SMALLEST_EPSILON to about LARGEST_EPSILON.
bool is_dielectric(const std::array<double, 9> &matrix);

// Throws ModelFileError where `text` is not a valid `lammps_les.json`; `path` is named in the message.
Metadata parse_metadata(const std::string &text, const std::string &path);

// Throws ModelFileError where the metadata that the module of the file carries are not those that the file states; names the field.
void require_same_metadata(const std::string &held, const std::string &stated, const std::string &path);

}    // namespace les
