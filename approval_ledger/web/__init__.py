"""THE PAGE: what a browser gets, and the charts that it asks for. It holds no logic of the domain; docs/page.md describes it.

`static/` is HTML, CSS and JavaScript as the browser runs them: there is no build step, and nothing comes from another host.
"""
