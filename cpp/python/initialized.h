// Methods and attributes for pybind11 that refuse an object which was made by `__new__` alone: pybind11 itself makes up memory for it.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

namespace les {

namespace py = pybind11;

template <class C> C &initialized(const py::handle &object)
{
  if (!py::isinstance<C>(object) ||
      !reinterpret_cast<py::detail::instance *>(object.ptr())->get_value_and_holder().holder_constructed())
    throw py::type_error("expected an object that was made by calling " +
                         py::str(py::type::of<C>().attr("__name__")).template cast<std::string>());
  return object.cast<C &>();
}

template <class C, class R, class... A> auto method(R (C::*function)(A...))
{
  return [function](const py::object &self, A... arguments) -> R {
    return (initialized<C>(self).*function)(std::forward<A>(arguments)...);
  };
}

template <class C, class R, class... A> auto method(R (C::*function)(A...) const)
{
  return [function](const py::object &self, A... arguments) -> R {
    return (initialized<C>(self).*function)(std::forward<A>(arguments)...);
  };
}

template <class C, class B, class T> auto attribute(T B::*member)
{
  return [member](const py::object &self) -> T { return initialized<C>(self).*member; };
}

}    // namespace les
