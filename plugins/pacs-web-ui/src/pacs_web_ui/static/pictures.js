// Thumbnails that are not to be had, as of a report, give way to the word that stands for them.
"use strict";

(() => {
  const replace = (image) => image.replaceWith(image.dataset.instead);
  const pictures = document.querySelectorAll("img[data-instead]");
  for (const image of pictures) {
    if (image.complete && image.src && !image.naturalWidth) replace(image);
    else image.addEventListener("error", () => replace(image));
  }
})();
