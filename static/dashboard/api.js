// Reading the HTTP API with the session of this page.

export async function read(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const answer = await fetch(`/api/v1/${path}?${new URLSearchParams(given)}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
