//! Tracepoints whose arguments may be null or hold an error number although their types do not say so.

use crate::Feature;

/// One tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NullArgs {
    /// Name of the tracepoint.
    pub name: &'static str,
    /// Four bits for each argument, the first one lowest: 1 may be null, 2 may be an error number.
    pub mask: u64,
}

const fn row(name: &'static str, mask: u64) -> NullArgs {
    NullArgs { name, mask }
}

/// Rows that came with [`Feature::MoreNullArguments`].
static NEWER: &[NullArgs] =
    &[row("sched_process_wait", 0x1), row("signal_generate", 0x20), row("signal_deliver", 0x20)];

/// The rows, by subsystem.
#[rustfmt::skip]
pub static ROWS: &[NullArgs] = &[
    row("sched_pi_setprio", 0x10),
    row("sched_stick_numa", 0x100),
    row("sched_swap_numa", 0x100),
    row("afs_make_fs_call", 0x10),
    row("afs_make_fs_calli", 0x10),
    row("afs_make_fs_call1", 0x10),
    row("afs_make_fs_call2", 0x10),
    row("afs_protocol_error", 0x1),
    row("afs_flock_ev", 0x10),
    row("cachefiles_lookup", 0x1 | 0x200),
    row("cachefiles_unlink", 0x1),
    row("cachefiles_rename", 0x1),
    row("cachefiles_prep_read", 0x1),
    row("cachefiles_mark_active", 0x1),
    row("cachefiles_mark_failed", 0x1),
    row("cachefiles_mark_inactive", 0x1),
    row("cachefiles_vfs_error", 0x1),
    row("cachefiles_io_error", 0x1),
    row("cachefiles_ondemand_open", 0x1),
    row("cachefiles_ondemand_copen", 0x1),
    row("cachefiles_ondemand_close", 0x1),
    row("cachefiles_ondemand_read", 0x1),
    row("cachefiles_ondemand_cread", 0x1),
    row("cachefiles_ondemand_fd_write", 0x1),
    row("cachefiles_ondemand_fd_release", 0x1),
    row("ext4_mballoc_discard", 0x10),
    row("ext4_mballoc_free", 0x10),
    row("fib_table_lookup", 0x100),
    row("hugetlbfs_alloc_inode", 0x10),
    row("posix_lock_inode", 0x10),
    row("fcntl_setlk", 0x10),
    row("locks_remove_posix", 0x10),
    row("flock_lock_inode", 0x10),
    row("break_lease_noblock", 0x10),
    row("break_lease_block", 0x10),
    row("break_lease_unblock", 0x10),
    row("generic_delete_lease", 0x10),
    row("time_out_leases", 0x10),
    row("host1x_cdma_push_gather", 0x10000),
    row("mm_khugepaged_scan_pmd", 0x10),
    row("mm_collapse_huge_page_isolate", 0x1),
    row("mm_khugepaged_scan_file", 0x10),
    row("mm_khugepaged_collapse_file", 0x10),
    row("mm_page_alloc", 0x1),
    row("mm_page_pcpu_drain", 0x1),
    row("mm_page_alloc_zone_locked", 0x1),
    row("netfs_failure", 0x10),
    row("device_pm_callback_start", 0x10),
    row("qdisc_dequeue", 0x1000),
    row("rxrpc_recvdata", 0x1),
    row("rxrpc_resend", 0x10),
    row("kfree_skb", 0x1000),
    row("xs_stream_read_data", 0x1),
    row("xprt_reserve_cong", 0x10),
    row("xprt_release_cong", 0x10),
    row("xprt_get_cong", 0x10),
    row("xprt_put_cong", 0x10),
    row("tcp_send_reset", 0x11),
    row("tcp_sendmsg_locked", 0x100),
    row("tegra_dma_tx_status", 0x100),
    row("tmigr_update_events", 0x1),
    row("writeback_dirty_folio", 0x10),
    row("folio_wait_writeback", 0x10),
    row("mr_integ_alloc", 0x2000),
    row("xfs_inodegc_flush", 0x1),
    row("xfs_inodegc_push", 0x1),
    row("xfs_inodegc_start", 0x1),
    row("xfs_inodegc_stop", 0x1),
    row("xfs_inodegc_queue", 0x1),
    row("xfs_inodegc_throttle", 0x1),
    row("xfs_fs_sync_fs", 0x1),
    row("xfs_blockgc_start", 0x1),
    row("xfs_blockgc_stop", 0x1),
    row("xfs_blockgc_worker", 0x1),
    row("xfs_blockgc_flush_all", 0x1),
    row("xfs_map_blocks_found", 0x10000),
    row("xfs_map_blocks_alloc", 0x10000),
    row("xfs_btree_updkeys", 0x100),
    row("xfs_btree_overlapped_query_range", 0x100),
    row("xfs_defer_create_intent", 0x1),
    row("xfs_defer_cancel_list", 0x1),
    row("xfs_defer_pending_finish", 0x1),
    row("xfs_defer_pending_abort", 0x1),
    row("xfs_defer_relog_intent", 0x1),
    row("xfs_defer_isolate_paused", 0x1),
    row("xfs_defer_item_pause", 0x1),
    row("xfs_defer_item_unpause", 0x1),
    row("xfs_defer_add_item", 0x1),
    row("xfs_defer_cancel_item", 0x1),
    row("xfs_defer_finish_item", 0x1),
    row("xfs_ioc_free_eofblocks", 0x10),
    row("xfs_blockgc_free_space", 0x10),
];

/// Whether argument number `index` of a tracepoint may be null, and whether it may hold an error number.
pub fn null_arg(name: &str, index: usize, has: impl Fn(Feature) -> bool) -> (bool, bool) {
    let newer = NEWER.iter().filter(|_| has(Feature::MoreNullArguments));
    let mask = ROWS.iter().chain(newer).find(|r| r.name == name).map_or(0, |r| r.mask);
    let bits = mask.checked_shr(index as u32 * 4).unwrap_or(0);
    (bits & 1 != 0, bits & 2 != 0)
}

#[cfg(test)]
mod tests {
    use super::null_arg;

    #[test]
    fn by_argument() {
        assert_eq!(null_arg("kfree_skb", 3, |_| false), (true, false));
        assert_eq!(null_arg("kfree_skb", 0, |_| false), (false, false));
        assert_eq!(null_arg("mr_integ_alloc", 3, |_| false), (false, true));
        assert_eq!(null_arg("task_newtask", 0, |_| false), (false, false));
        assert_eq!(null_arg("xfs_map_blocks_alloc", 4, |_| false), (true, false));
    }
}
