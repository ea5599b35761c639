// Linux calls that Swift's Glibc module does not export.
#ifndef ZOOPORT_CLINUX_SHIM_H
#define ZOOPORT_CLINUX_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/vfs.h>

ssize_t copy_file_range(int source, off_t *source_offset, int target, off_t *target_offset, size_t length,
                        unsigned int flags);

static inline ssize_t zooport_copy_file_range(int source, off_t source_offset, int target, off_t target_offset,
                                              size_t length) {
  return copy_file_range(source, &source_offset, target, &target_offset, length, 0);
}

// Whether copy_file_range on the file system of a file can share extents or copy on a server: btrfs, XFS, ZFS, bcachefs,
// OverlayFS, NFS, SMB. The numbers are those of linux/magic.h and of the file systems that are built outside of Linux.
static inline int zooport_copies_by_reference(int file) {
  struct statfs info;
  if (fstatfs(file, &info) != 0) return 0;
  switch ((unsigned long)info.f_type & 0xFFFFFFFFul) {
    case 0x9123683Eul: case 0x58465342ul: case 0x2FC12FC1ul: case 0xCA451A4Eul:
    case 0x794C7630ul: case 0x6969ul: case 0xFE534D42ul: case 0xFF534D42ul:
      return 1;
    default:
      return 0;
  }
}

// Of fcntl.h, but only with _GNU_SOURCE, as are its flags WAIT_BEFORE, WRITE and WAIT_AFTER.
int sync_file_range(int file, off_t offset, off_t length, unsigned int flags);

// Starts writing a part of a file to the disk and waits until it is there; neither its metadata nor the disk's own cache.
// Fails where the file system knows no such thing, which costs nothing but the waiting later.
static inline int zooport_write_back(int file, off_t offset, off_t length) {
  return sync_file_range(file, offset, length, 1 | 2 | 4);
}

// SEEK_DATA and SEEK_HOLE of unistd.h, but only with _GNU_SOURCE: the first byte from an offset on that is not in a hole, and
// that is in one. The end of a file is a hole.
static const int zooport_seek_data = 3, zooport_seek_hole = 4;

// Of string.h, but only with _GNU_SOURCE.
void *memmem(const void *haystack, size_t haystack_length, const void *needle, size_t needle_length);

// What TCP_INFO tells since Linux 4.19; netinet/tcp.h of the C library ends before the byte counts, and linux/tcp.h cannot
// be included beside it. Names are those of linux/tcp.h without tcpi_.
struct zooport_tcp_info {
  uint8_t state[8];
  uint32_t times[24];
  uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
  uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
  uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
  uint32_t delivered, delivered_ce;
  uint64_t bytes_sent, bytes_retrans;
};
static const int zooport_tcp_info_option = 11;

#endif
