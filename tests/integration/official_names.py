"""What the official client offers: its public names, the parameters of its functions, the attributes of its classes."""

import enum
import inspect
import json
import re

import qai_hub as hub


def parameters(function):
    """Name and default of each, in order; a default that JSON cannot say is its name."""
    found = []
    for name, one in inspect.signature(function).parameters.items():
        default = getattr(one.default, "name", one.default)
        found.append([name] if one.default is one.empty else [name, default])
    return found


def attributes(kind):
    """Public methods with their parameters, and everything else by name alone."""
    methods, others = {}, set()
    for base in kind.__mro__:
        if not base.__module__.startswith("qai_hub"):
            continue
        others.update(name for name in getattr(base, "__dataclass_fields__", {}) if not name.startswith("_"))
        if "__init__" in vars(base) and "__dataclass_fields__" not in vars(base):
            others.update(re.findall(r"self\.([a-z]\w*)\s*(?::[^=\n]+)?= ", inspect.getsource(base.__init__)))
        for name, value in vars(base).items():
            if name.startswith("_"):
                continue
            if inspect.isfunction(value) or isinstance(value, staticmethod):
                methods.setdefault(name, parameters(getattr(kind, name)))
            else:
                others.add(name)
    return {"methods": methods, "others": sorted(others - set(methods))}


functions, classes, words = {}, {}, []
for name in sorted(hub.__all__):
    value = getattr(hub, name)
    if inspect.isfunction(value) or inspect.ismethod(value):
        functions[name] = parameters(value)
    elif isinstance(value, enum.EnumMeta):
        classes[name] = {"methods": {}, "others": sorted(value.__members__)}
    elif inspect.isclass(value) and value.__module__.startswith("qai_hub"):
        classes[name] = attributes(value)
    else:
        words.append(name)
found = {"version": str(hub.__version__), "functions": functions, "classes": classes, "words": words}
print(json.dumps(found, sort_keys=True))
