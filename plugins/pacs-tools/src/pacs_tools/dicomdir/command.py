"""``pacs dicomdir``: what it can do."""

from cyclopts import App

from pacs_tools.dicomdir.create import create
from pacs_tools.dicomdir.show import show
from pacs_tools.dicomdir.update import update

app = App(name="dicomdir", help="Make, update and examine file-sets with a DICOMDIR.")
app.command(create)
app.command(show)
app.command(update)
