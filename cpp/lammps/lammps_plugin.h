// The C interface by which LAMMPS loads plugins, as its manual describes it ("Writing plugins"). Declared here because installed
// LAMMPS packages do not always come with lammpsplugin.h.
#pragma once

extern "C" {

typedef void *(*lammps_factory1)(void *);                  // (LAMMPS *): pair styles
typedef void *(*lammps_factory2)(void *, int, char **);    // (LAMMPS *, narg, arg): fixes and computes

struct lammps_plugin {
  const char *version;    // of LAMMPS that the plugin was built for
  const char *style;      // "pair", "fix", "compute", ...
  const char *name;
  const char *info;
  const char *author;
  union {
    lammps_factory1 v1;
    lammps_factory2 v2;
  } creator;
  void *handle;
};

typedef void (*lammps_plugin_register)(lammps_plugin *, void *);

__attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle, void *register_plugin);
}
