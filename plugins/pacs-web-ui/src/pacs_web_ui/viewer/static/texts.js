// Texts in the language of the page; what follows a bar is for translators.

const translations = JSON.parse(document.body.dataset.texts ?? "{}");

export const t = (text) => translations[text] || text.split("|")[0];

/** Say that something failed, and the reason that the server or the browser gives. */
export function explain(said, { message }) {
  const reason = message.replace(/^it cannot be shown: /, "");
  return `${said} ${reason.charAt(0).toUpperCase()}${reason.slice(1)}`;
}
