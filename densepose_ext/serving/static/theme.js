// The light or dark theme: the system's, until another one is chosen.

const { dataset } = document.documentElement;

export function startTheme() {
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* storage is disabled */ }
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = kept ?? (isDark ? "dark" : "light");
}

export function changeTheme() {
  dataset.theme = dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", dataset.theme); } catch { /* as above */ }
}
