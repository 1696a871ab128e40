// What the long-range sum gives of each atom, as users see it: in e, V and A, with the signs of the model file, without the root of the
// dielectric constant.
#pragma once

#include "interaction.h"
#include "metadata.h"

namespace les {

constexpr double COULOMB = 14.399645;    // e/(4 pi epsilon_0), V A: of a polarizability in e A^2/V one in A^3

enum class AtomQuantity { Charge, Potential, Dipole, Quadrupole, Alpha, InducedCharge, InducedDipole, Field };

struct AtomQuantityKind {
  AtomQuantity quantity;
  const char *word;      // of compute les/atom
  int width;             // numbers for each channel: of a symmetric tensor xx yy zz xy xz yz
  const char *latent;    // that a model must have
  const char *what;      // in words
  const char *unit;
};
inline const std::vector<AtomQuantityKind> ATOM_QUANTITIES{
    {AtomQuantity::Charge, "q", 1, "charge", "latent charges", "e"},
    {AtomQuantity::Potential, "phi", 1, "charge", "potentials of the sources", "V"},
    {AtomQuantity::Dipole, "dipole", 3, "dipole", "latent dipoles", "e A"},
    {AtomQuantity::Quadrupole, "quadrupole", 6, "quadrupole", "latent quadrupoles", "e A^2"},
    {AtomQuantity::Alpha, "alpha", 6, "alpha", "polarizabilities", "e A^2/V"},
    {AtomQuantity::InducedCharge, "dq", 1, "kappa", "induced charges", "e"},
    {AtomQuantity::InducedDipole, "du", 3, "alpha", "induced dipoles", "e A"},
    {AtomQuantity::Field, "field", 3, "charge", "fields of the sources", "V/A"}};

const AtomQuantityKind &kind_of(AtomQuantity quantity);

// [n, C, width] f64, on the device, of a model that has what the quantity needs.
torch::Tensor atom_quantity(AtomQuantity quantity, const Latents &latents, const LongRange &far,
                            const Metadata::Charges &charges);

}    // namespace les
