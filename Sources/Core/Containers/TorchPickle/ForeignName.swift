/// A Python name that `PickleGlobal` does not list, by what everyday files use it for.
///
/// Nothing is imported or called for any of them. The distinction decides what the user is told: a class of his own beside
/// the weights is read as plain values, a tensor in a form without plain bytes is named with the way out, and everything
/// that would run code stays refused as hostile.
enum ForeignName {
  /// A class whose instances are read as plain values.
  case plainClass(String)
  /// A class of a neural network: the file holds a model and not its weights.
  case module(String)
  /// A way to keep a tensor that is not plain strided bytes: what it is, and what to do.
  case tensor(String)
  /// A class of `torch.distributed.checkpoint`.
  case distributedCheckpoint
  /// Everything else.
  case forbidden

  /// Looks a name up. Complexity: O(length).
  init(module: String, name: String) {
    if let form = Self.tensorForms["\(module) \(name)"] {
      self = .tensor(form)
    } else if module.hasPrefix("torch.distributed"), name.hasSuffix("Tensor") {
      self = .tensor(Self.distributedTensor)
    } else if module.hasPrefix("torch.distributed.checkpoint") {
      self = .distributedCheckpoint
    } else if module == "torch.nn" || module.hasPrefix("torch.nn.modules") || module.hasPrefix("torch.nn.functional")
      || module.contains(".modeling_")
    {
      self = .module("\(module).\(name)")
    } else if Self.isClass(name), Self.mayBePlain(module, name) {
      self = .plainClass("\(module).\(name)")
    } else {
      self = .forbidden
    }
  }

  private static let distributedTensor =
    "is one device's part of a distributed tensor (DTensor); gather it with full_tensor(), or save a full state dict"

  /// Functions of `torch/_utils.py` that make tensors of other forms, and what to do about them.
  private static let tensorForms: [String: String] = [
    "torch._utils _rebuild_meta_tensor_no_storage":
      "is on the meta device and has no data; load the weights into the model before you save it",
    "torch._utils _rebuild_sparse_tensor": "is sparse; save tensor.to_dense()",
    "torch._utils _rebuild_sparse_csr_tensor": "is sparse; save tensor.to_dense()",
    "torch._utils _rebuild_nested_tensor": "is a nested tensor; save its parts",
    "torch._utils _rebuild_qtensor": "is quantised; save tensor.dequantize(), or convert the original weights",
    "torch._utils _rebuild_wrapper_subclass":
      "is a tensor subclass without bytes of its own, such as a DTensor or a quantised tensor; save plain tensors: "
      + "full_tensor() gathers a DTensor, dequantize() undoes quantisation",
    "torch.serialization _get_layout": "is sparse; save tensor.to_dense()",
  ]

  /// Class names begin with a capital letter by convention. Dotted names are classes inside classes.
  private static func isClass(_ name: String) -> Bool {
    name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
      part.first.map { ("A"..."Z").contains($0) } ?? false
        && part.utf8.allSatisfy {
          (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
        }
    }
  }

  private static func mayBePlain(_ module: String, _ name: String) -> Bool {
    if plainStandardClasses.contains("\(module) \(name)") { return true }
    let top = module.prefix { $0 != "." }
    return !top.isEmpty && !top.hasPrefix("_") && !standardModules.contains(String(top)) || module == "__main__"
  }

  /// Classes of Python's own library that checkpoints hold beside the weights.
  private static let plainStandardClasses: Set<String> = [
    "argparse Namespace", "types SimpleNamespace", "pathlib Path", "pathlib PosixPath", "pathlib WindowsPath",
    "pathlib PurePath", "pathlib PurePosixPath", "pathlib PureWindowsPath", "pathlib._local PosixPath",
    "pathlib._local WindowsPath", "uuid UUID", "decimal Decimal", "fractions Fraction",
  ]

  /// Top-level modules of Python 3.8 to 3.14 in which a class may run code when it is made, such as `subprocess.Popen`.
  /// Their names never belong to a checkpoint, except those above.
  private static let standardModules: Set<String> = Set(
    """
    abc aifc argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 cProfile \
    calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys compileall compression concurrent configparser \
    contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest \
    email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools gc \
    getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect io \
    ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap \
    modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath numbers opcode operator optparse os ossaudiodev \
    parser pathlib pdb pickle pickletools pip pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty \
    pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched \
    secrets select selectors setuptools shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 \
    sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symbol symtable sys \
    sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap threading time timeit tkinter token tokenize tomllib \
    trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave \
    weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo
    """.split(separator: " ").map(String.init))
}
