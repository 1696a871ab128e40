// Electric current of a group of atoms, J_a = sum_ib Z_iab v_ib: one home for the fix and the compute.
#pragma once

#include <mpi.h>

namespace les {

// z [nlocal][9] (P component first), v [nlocal][3]; sums over all ranks. Units: e times velocity units.
inline void current(const double *z, const double *const *v, const int *mask, int groupbit, int nlocal, MPI_Comm world,
                    double *j)
{
  double mine[3] = {0.0, 0.0, 0.0};
  for (int i = 0; i < nlocal; i++) {
    if (!(mask[i] & groupbit)) continue;
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++) mine[a] += z[9 * static_cast<long>(i) + 3 * a + b] * v[i][b];
  }
  MPI_Allreduce(mine, j, 3, MPI_DOUBLE, MPI_SUM, world);
}

}    // namespace les
