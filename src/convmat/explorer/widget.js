// The page as a widget: what Python holds and what the page shows follow each other.
export default {
  render({ model, el }) {
    const root = document.createElement("div");
    el.append(root);
    const given = () => ({ ...model.get("state"), geometry: model.get("geometry"), weight: model.get("weight"), pin: model.get("selected") });
    const plain = (value) => JSON.stringify(value ?? null);
    const app = convmat.mount(root, {
      state: given(),
      onChange: (state) => {
        const now = { geometry: state.geometry, weight: state.weight && [...state.weight], selected: state.pin };
        const changed = Object.entries(now).filter(([name, value]) => plain(value) !== plain(model.get(name)));
        for (const [name, value] of changed) model.set(name, value);
        if (changed.length) model.save_changes();
      },
    });
    const follow = () => {
      const now = { geometry: app.state.geometry, weight: app.state.weight && [...app.state.weight], pin: app.state.pin };
      const wanted = given();
      if (Object.keys(now).some((name) => plain(now[name]) !== plain(wanted[name]))) app.update({ ...app.state, ...wanted, weight: wanted.weight });
    };
    for (const name of ["geometry", "weight", "selected"]) model.on(`change:${name}`, follow);
    return () => {
      for (const name of ["geometry", "weight", "selected"]) model.off(`change:${name}`, follow);
      app.destroy();
    };
  },
};
