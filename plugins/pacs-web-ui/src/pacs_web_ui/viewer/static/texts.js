// Texts in the language of the page; what follows a bar is for translators.

const translations = JSON.parse(document.body.dataset.texts ?? "{}");

export const t = (text) => translations[text] || text.split("|")[0];
