/// The page docs/settings.md, made from the table of settings.
enum SettingsPage {
  static var markdown: String {
    var text = """
      # Settings

      Each setting of `zooport serve` is a flag, an environment variable, and a line of a file. The flag wins over the variable, the variable over
      the file, the file over the default. `zooport gc` and `zooport token` read the same.

          zooport serve --config /etc/zooport/zooport.conf

      The file has one `name = value` a line; lines that begin with `#` are comments. Names are those below.

          # /etc/zooport/zooport.conf
          data-dir = /var/lib/zooport
          workers = 4
          require-tokens = true

      Sizes are written as `512MiB` or `10GB`, or as bytes. Empty values count as absent. Whatever is wrong, unknown names in the file included, is
      reported together with where it stands, and nothing starts. An unknown variable that begins with `ZOOPORT_` is only warned of.

      This page is what `zooport settings` prints.

      | setting | variable | default | |
      |---|---|---|---|

      """
    for row in Settings.table {
      let flag = row.isSwitch ? "`--\(row.name)`, `--no-\(row.name)`" : "`--\(row.name)`"
      let standard = row.standard.isEmpty ? "" : row.standard.contains(" ") ? row.standard : "`\(row.standard)`"
      text += "| \(flag) | `\(row.variable)` | \(standard) | \(row.help) |\n"
    }
    return text
  }
}
